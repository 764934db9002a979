//! How numbers are written: Vault's JSON, or Prometheus' text.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::Timed;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Vault's JSON.
    Json,
    /// Prometheus' text.
    Prometheus,
}

impl Format {
    /// The form that a request names; `None` if there is none of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Json),
            "prometheus" => Some(Self::Prometheus),
            _ => None,
        }
    }
}

/// All numbers, written.
pub struct Page {
    /// Media type.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

/// What kind of number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// How often, and how long.
    Summary,
}

/// Labels: names of ours, values as they are.
pub type Labels = Vec<(&'static str, String)>;

/// Numbers of one name.
pub struct Family {
    /// With points: `vault.core.unsealed`.
    pub name: &'static str,
    /// For humans.
    pub help: &'static str,
    /// What they are.
    pub kind: Kind,
    /// The numbers: of a timer how often and how long, else the first alone.
    pub points: Vec<(Labels, Timed)>,
}

/// Writes them.
pub fn write(families: &[Family], format: Format) -> Page {
    match format {
        Format::Json => Page { content_type: "application/json", body: json_text(families) },
        Format::Prometheus => Page {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: prometheus_text(families),
        },
    }
}

fn json_text(families: &[Family]) -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0);
    let now = now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let of = |kind: Kind| -> Vec<Value> {
        let wanted = families.iter().filter(|family| family.kind == kind);
        wanted.flat_map(|family| family.points.iter().map(|p| json_point(family, p))).collect()
    };
    let page = json!({
        "Timestamp": format!("{} {} +0000 UTC", now.date(), clock(now)),
        "Gauges": of(Kind::Gauge),
        "Points": [],
        "Counters": of(Kind::Counter),
        "Samples": of(Kind::Summary),
    });
    page.to_string()
}

fn clock(now: OffsetDateTime) -> String {
    format!("{:02}:{:02}:{:02}", now.hour(), now.minute(), now.second())
}

fn json_point(family: &Family, (labels, value): &(Labels, Timed)) -> Value {
    let labels: Map<String, Value> =
        labels.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    match family.kind {
        Kind::Gauge => json!({ "Name": family.name, "Value": value.sum, "Labels": labels }),
        Kind::Counter => json!({
            "Name": family.name, "Count": value.count, "Sum": value.count, "Labels": labels,
        }),
        Kind::Summary => {
            #[expect(clippy::cast_precision_loss, reason = "an average needs no more")]
            let mean = if value.count == 0 { 0.0 } else { value.sum / value.count as f64 };
            json!({
                "Name": family.name, "Count": value.count, "Sum": value.sum, "Max": value.max,
                "Mean": mean, "Labels": labels,
            })
        }
    }
}

fn prometheus_text(families: &[Family]) -> String {
    let mut out = String::new();
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        let name = family.name.replace(['.', '-'], "_");
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Summary => "summary",
        };
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
        for (labels, value) in &family.points {
            let labels = prometheus_labels(labels);
            let _ = match family.kind {
                Kind::Gauge => writeln!(out, "{name}{labels} {}", value.sum),
                Kind::Counter => writeln!(out, "{name}{labels} {}", value.count),
                Kind::Summary => writeln!(
                    out,
                    "{name}_sum{labels} {}\n{name}_count{labels} {}",
                    value.sum, value.count
                ),
            };
        }
    }
    out
}

fn prometheus_labels(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escaped = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let written: Vec<String> =
        labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
    format!("{{{}}}", written.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> [Family; 2] {
        let value = Timed { count: 2, sum: 3.5, max: 3.0 };
        let labels = vec![("mount_point", "a\"b\\c\n/".to_owned())];
        [
            Family {
                name: "vault.core.unsealed",
                help: "Whether it is.",
                kind: Kind::Gauge,
                points: vec![(Vec::new(), Timed { sum: 1.0, ..Timed::default() })],
            },
            Family {
                name: "vault.route.request",
                help: "Requests.",
                kind: Kind::Summary,
                points: vec![(labels, value)],
            },
        ]
    }

    #[test]
    fn prometheus_reads_names_and_labels_without_stumbling() {
        let page = write(&families(), Format::Prometheus);
        assert_eq!(
            page.body,
            "# HELP vault_core_unsealed Whether it is.\n# TYPE vault_core_unsealed gauge\n\
             vault_core_unsealed 1\n\
             # HELP vault_route_request Requests.\n# TYPE vault_route_request summary\n\
             vault_route_request_sum{mount_point=\"a\\\"b\\\\c\\n/\"} 3.5\n\
             vault_route_request_count{mount_point=\"a\\\"b\\\\c\\n/\"} 2\n"
        );
    }

    #[test]
    fn the_json_has_vaults_lists() {
        let page: Value = serde_json::from_str(&write(&families(), Format::Json).body).unwrap();
        assert_eq!(page["Gauges"][0]["Name"], "vault.core.unsealed");
        assert_eq!(page["Samples"][0]["Mean"], 1.75);
        assert!(page["Timestamp"].as_str().unwrap().ends_with(" +0000 UTC"));
    }
}
