//! One object of a configuration file, read key by key in Vault's lenient forms.
//!
//! Leaves out which keys exist: asking for one makes it known, and [`Section::finish`] warns of
//! what nobody asked for. Keys match in any case, as in Vault.

use std::path::{Path, PathBuf};
use std::time::Duration;

use boltwork_hcl::{Block, Key, Kind, Object, Position, Value};

use super::error::{Error, Place, Problem, Warning};

pub(super) struct Section<'a> {
    file: &'a Path,
    body: &'a Object,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(file: &'a Path, body: &'a Object) -> Self {
        Self { file, body, known: Vec::new() }
    }

    pub(super) fn place(&self, position: Position) -> Place {
        Place::new(self.file, position)
    }

    /// Where this section begins.
    pub(super) fn start(&self) -> Place {
        self.place(self.body.position)
    }

    /// Where a key stands, or else where the section begins.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.value(key).map_or_else(|| self.start(), |value| self.place(value.position))
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        let mut items = self.body.items.iter().rev();
        let item = items.find(|item| item.name.text.eq_ignore_ascii_case(key))?;
        Some(&item.value).filter(|value| value.kind != Kind::Null)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        take: impl FnOnce(&Kind) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.known.push(key);
        let Some(value) = self.value(key) else { return Ok(None) };
        match take(&value.kind) {
            Some(taken) => Ok(Some(taken)),
            None => Err(self.mismatch(key, value, wanted)),
        }
    }

    fn mismatch(&self, key: &str, value: &Value, wanted: &str) -> Error {
        Error::Value {
            place: self.place(value.position),
            key: key.to_owned(),
            found: value.kind.describe().to_owned(),
            wanted: wanted.to_owned(),
        }
    }

    /// A string; a number counts as the text it was written as. Empty is absent.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, Error> {
        let text = self.read(key, "a string", |kind| match kind {
            Kind::String(text) | Kind::Integer(_, text) => Some(text.clone()),
            _ => None,
        })?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, Error> {
        Ok(self.text(key)?.map(PathBuf::from))
    }

    /// `true`, `"true"`, `1` and so on.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, Error> {
        self.read(key, "true or false", |kind| match kind {
            Kind::Bool(flag) => Some(*flag),
            Kind::Integer(n, _) => Some(*n != 0),
            Kind::String(text) if text.is_empty() => Some(false),
            Kind::String(text) => boolean(text),
            _ => None,
        })
    }

    pub(super) fn integer(&mut self, key: &'static str) -> Result<Option<i64>, Error> {
        self.read(key, "a whole number", |kind| match kind {
            Kind::Integer(n, _) => Some(*n),
            Kind::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// Permission bits, always octal: `"0750"`, `"750"`, `0750`, `750`.
    pub(super) fn octal(&mut self, key: &'static str) -> Result<Option<u32>, Error> {
        self.read(key, "permission bits in octal, such as \"0750\"", |kind| match kind {
            Kind::String(text) | Kind::Integer(_, text) => {
                u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777)
            }
            _ => None,
        })
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Result<Option<Duration>, Error> {
        let position = self.body.position;
        self.read(key, "a duration, such as \"1h30m\" or 5400", |kind| {
            Value { kind: kind.clone(), position }.as_duration()
        })
    }

    /// One of a few words, in any case.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        wanted: &str,
        find: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.read(key, wanted, |kind| match kind {
            Kind::String(text) => find(&text.to_ascii_lowercase()),
            _ => None,
        })
    }

    pub(super) fn blocks(&mut self, key: &'static str) -> Result<Vec<Block<'a>>, Error> {
        self.known.push(key);
        self.body.blocks(key).map_err(|source| Error::Syntax { path: self.file.to_owned(), source })
    }

    /// Blocks without a label: `key { … }`.
    pub(super) fn objects(&mut self, key: &'static str) -> Result<Vec<&'a Object>, Error> {
        self.known.push(key);
        let mut found = Vec::new();
        for item in self.body.items.iter().filter(|i| i.name.text.eq_ignore_ascii_case(key)) {
            found.extend(
                item.value
                    .objects()
                    .map_err(|source| Error::Syntax { path: self.file.to_owned(), source })?,
            );
        }
        Ok(found)
    }

    /// Warns of a key that is read for its form only.
    pub(super) fn warn_of(&self, key: &str, out: &mut Vec<Warning>) {
        let mut items = self.body.items.iter();
        if let Some(item) = items.find(|item| item.name.text.eq_ignore_ascii_case(key)) {
            let place = self.place(item.name.position);
            out.push(Warning { place, key: item.name.text.clone(), problem: Problem::NoEffect });
        }
    }

    /// A list of strings, or one string.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, Error> {
        let texts = self.read(key, "a list of strings", |kind| match kind {
            Kind::String(text) => Some(vec![text.clone()]),
            Kind::List(list) => {
                list.iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        })?;
        Ok(texts.unwrap_or_default())
    }

    /// Blocks with two labels, `key "first" "second" { … }`, in every way that they can be written;
    /// what is none is an error of its own.
    pub(super) fn twice_labelled(&mut self, key: &'static str) -> Vec<Result<Twice<'a>, Error>> {
        self.known.push(key);
        let mut found = Vec::new();
        for item in self.body.items.iter().filter(|item| item.name.text == key) {
            let mut inside = Vec::new();
            let labels: Vec<_> = item.labels.iter().collect();
            let outcome = descend(&labels, &item.value, &mut inside);
            found.extend(inside.into_iter().map(Ok));
            let path = self.file.to_owned();
            found.extend(outcome.err().map(|source| Err(Error::Syntax { path, source })));
        }
        found
    }

    /// Refuses a key that must not be read past.
    pub(super) fn refuse(&self, key: &str, what: &str, instead: &str) -> Result<(), Error> {
        match self.body.items.iter().find(|item| item.name.text.eq_ignore_ascii_case(key)) {
            None => Ok(()),
            Some(item) => Err(Error::Refused {
                place: self.place(item.name.position),
                what: format!("{key}: {what}"),
                instead: instead.to_owned(),
            }),
        }
    }

    /// Warns of every key that was never asked for. `accepted` are taken in silence, `without
    /// effect` are known from elsewhere.
    pub(super) fn finish(self, accepted: &[&str], no_effect: &[&str], out: &mut Vec<Warning>) {
        for item in &self.body.items {
            let name = &item.name;
            let is = |known: &&str| name.text.eq_ignore_ascii_case(known);
            if self.known.iter().any(is) || accepted.iter().any(is) {
                continue;
            }
            let problem =
                if no_effect.iter().any(is) { Problem::NoEffect } else { Problem::Unknown };
            let place = self.place(name.position);
            out.push(Warning { place, key: name.text.clone(), problem });
        }
    }
}

/// A block and its two labels.
pub(super) type Twice<'a> = (&'a Key, &'a Key, &'a Object);

fn descend<'a>(
    labels: &[&'a Key],
    value: &'a Value,
    found: &mut Vec<Twice<'a>>,
) -> Result<(), boltwork_hcl::Error> {
    for object in value.objects()? {
        match labels {
            [first, second] => found.push((first, second, object)),
            [] | [_] => {
                for item in &object.items {
                    let deeper: Vec<_> =
                        labels.iter().copied().chain([&item.name]).chain(&item.labels).collect();
                    descend(&deeper, &item.value, found)?;
                }
            }
            [_, _, third, ..] => {
                let what = "a third label";
                return Err(boltwork_hcl::Error::unexpected(third.position, what, "'{'"));
            }
        }
    }
    Ok(())
}

/// The words that Go takes for a boolean.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
