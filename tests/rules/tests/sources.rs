//! How a source file begins and what never stands in one, checked file by file.
//!
//! Left out on purpose: style, which `rustfmt` and clippy look after, and generated code, whose
//! text is the generator's.

use std::fs;
use std::path::{Path, PathBuf};

/// The only files that may allow `unsafe`, each with what demands it.
const MAY_BE_UNSAFE: &[(&str, &str)] = &[(
    "crates/go-plugin/src/host/spawn.rs",
    "what must happen in the child between fork and exec",
)];

/// A room, what its sources must not say, and why.
const MUST_NOT_SAY: &[(&str, &[&str], &str)] = &[
    (
        "crates/wire/src",
        &[
            "std::net",
            "tokio::net",
            "UnixStream",
            "UnixListener",
            "TcpStream",
            "TcpListener",
            "std::process",
        ],
        "the wire opens no socket and spawns nothing",
    ),
    (
        "crates/logical/src",
        &["tokio::", "std::net::Tcp", "std::process"],
        "the nouns have no runtime",
    ),
    (
        "crates/core/src",
        &["StatusCode", "tonic::", "hyper::", "axum::", "std::net::Tcp", "std::process::Command"],
        "the core knows neither HTTP nor gRPC, and starts no process",
    ),
    (
        "crates/policy/src",
        &["std::fs", "std::net", "tokio::"],
        "a policy is decided without input or output",
    ),
];

/// Written apart here, so that this file does not find itself.
fn unfinished() -> [String; 5] {
    [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["#[ig", "nore"].concat(),
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
    ]
}

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "common", "misc"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust source of ours: its path from the root, and its text.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    for place in ["crates", "plugins", "tests", "bench", "examples", "xtask"] {
        gather(&root.join(place), &root, &mut found);
    }
    assert!(found.len() > 20, "only {} sources found: the search is broken", found.len());
    found.sort();
    found
}

fn gather(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !["generated", "target", "fuzz"].contains(&name) {
                gather(&path, root, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is UTF-8");
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            found.push((name, text));
        }
    }
}

/// Every line of `text` with its number, comments cut off.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn every_source_opens_with_what_it_is_for() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc = include_str!("))
        .map(|(name, _)| name)
        .collect();
    assert!(wrong.is_empty(), "these do not open with `//!`:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_unfinished_is_left() {
    let marks = unfinished();
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
                wrong.push(format!("{name}:{}: {mark}", index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_is_named() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let allows = code(&text).any(|(_, line)| line.contains("allow(unsafe_code)"));
        if allows
            && name != "tests/rules/tests/sources.rs"
            && !MAY_BE_UNSAFE.iter().any(|(file, _)| *file == name)
        {
            wrong.push(format!("{name} allows unsafe code but is not in MAY_BE_UNSAFE"));
        }
    }
    for (file, _) in MAY_BE_UNSAFE {
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        if !text.contains("allow(unsafe_code)") {
            wrong.push(format!("{file} is in MAY_BE_UNSAFE but allows no unsafe code"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_room_does_not_say_what_it_must_not_know() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (room, words, why) in MUST_NOT_SAY.iter().filter(|(room, _, _)| name.starts_with(room))
        {
            for (number, line) in code(&text) {
                if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                    wrong.push(format!("{name}:{number}: says {word} in {room}, but {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| {
            let path = Path::new(name);
            let own = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let folder =
                path.parent().and_then(|parent| parent.file_name()).and_then(|name| name.to_str());
            EMPTY_NAMES.contains(&own)
                || (own == "mod" && folder.is_some_and(|folder| EMPTY_NAMES.contains(&folder)))
        })
        .collect();
    assert!(wrong.is_empty(), "name these for what is inside:\n{}", wrong.join("\n"));
}

#[test]
fn every_member_keeps_the_lints_of_the_workspace() {
    let root = root();
    let mut checked = 0;
    for place in ["crates", "plugins", "tests"] {
        for entry in fs::read_dir(root.join(place)).expect("a folder") {
            let manifest = entry.expect("a readable folder").path().join("Cargo.toml");
            let Ok(text) = fs::read_to_string(&manifest) else { continue };
            checked += 1;
            assert!(
                text.contains("[lints]\nworkspace = true"),
                "{} does not take the lints of the workspace",
                manifest.display()
            );
        }
    }
    assert!(checked > 10, "only {checked} manifests found: the search is broken");
}

/// Words in backticks that read like the name of a test of ours.
fn named_tests(page: &str) -> Vec<&str> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(is_name).collect()
}

/// Whether a test has this name: a function, or a row of the scenarios that run in every form.
fn is_a_test(sources: &[(String, String)], name: &str) -> bool {
    let (function, row) = (format!("fn {name}("), format!("    {name} =>"));
    let matrix = "tests/e2e/tests/external_plugins/matrix.rs";
    let mut all = sources.iter();
    all.any(|(file, text)| text.contains(&function) || (file == matrix && text.contains(&row)))
}

#[test]
fn every_test_that_the_conformance_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/conformance.md")).expect("the page is there");
    let named = named_tests(&page);
    assert!(named.len() > 80, "only {} names found: the search is broken", named.len());
    let sources = sources();
    let wrong: Vec<&str> = named.into_iter().filter(|name| !is_a_test(&sources, name)).collect();
    assert!(wrong.is_empty(), "no such tests:\n{}", wrong.join("\n"));
}

/// The part of the page that tells OpenBao's scenarios: each row's scenario and its tests.
fn scenarios(page: &str) -> Vec<(&str, Vec<&str>)> {
    let (_, part) = page.split_once("\n## OpenBao's scenarios\n").expect("the page has the part");
    let rows =
        part.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| scenario"));
    rows.map(|row| {
        let (scenario, tests) = row[2..].split_once(" | ").expect("two columns");
        (scenario, tests.split('`').skip(1).step_by(2).collect())
    })
    .collect()
}

#[test]
fn every_scenario_of_openbao_has_a_test() {
    let page = fs::read_to_string(root().join("docs/conformance.md")).expect("the page is there");
    let sources = sources();
    let scenarios = scenarios(&page);
    assert!(scenarios.len() > 35, "only {} rows found: the search is broken", scenarios.len());
    for (scenario, tests) in scenarios {
        assert!(!tests.is_empty() || scenario == "KMS plugins", "no test of {scenario}");
        for test in tests {
            assert!(is_a_test(&sources, test), "{scenario}: no test is called {test}");
        }
    }
}
