//! Every form that HCL 1 and JSON texts come in, and every way to get them wrong.

use boltwork_hcl::{Error, Kind, MAX_BYTES, MAX_DEPTH, parse};
use serde_json::json;

fn tree(text: &str) -> serde_json::Value {
    let object = parse(text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
    let mut items = Vec::new();
    for item in &object.items {
        let mut keys = vec![item.name.text.clone()];
        keys.extend(item.labels.iter().map(|label| label.text.clone()));
        items.push(json!([keys.join(" "), item.value.to_json()]));
    }
    items.into()
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("a bad text").to_string()
}

#[test]
fn every_form_of_hcl_1_is_read() {
    for (text, wanted) in [
        (
            r#"path "x" { capabilities = ["read"] min_wrapping_ttl = "1s" }"#,
            json!([["path x", {"capabilities": ["read"], "min_wrapping_ttl": "1s"}]]),
        ),
        (r#"a = 1, b = 2"#, json!([["a", 1], ["b", 2]])),
        (r#""a" = 1 "b" "c" { }"#, json!([["a", 1], ["b c", {}]])),
        ("a = 1\na = 2", json!([["a", 1], ["a", 2]])),
        (r#"a = "100%{x}""#, json!([["a", "100%{x}"]])),
        ("a = 0x1F b = 010 c = -0x10", json!([["a", 31], ["b", 8], ["c", -16]])),
        (
            "a = 1.5 b = -2e3 c = .5 d = 1.",
            json!([["a", 1.5], ["b", -2000.0], ["c", 0.5], ["d", 1.0]]),
        ),
        (
            r#"p "x" { allowed { "foo" = ["a"] "ba-r" = [] } }"#,
            json!([["p x", {"allowed": {"foo": ["a"], "ba-r": []}}]]),
        ),
        ("a.b = true\nc-d = false", json!([["a.b", true], ["c-d", false]])),
        ("a \"x\" {} a \"y\" {}", json!([["a x", {}], ["a y", {}]])),
        ("a x y {}", json!([["a x y", {}]])),
        ("a = [1, \"b\", true, [2], {c = 3},]", json!([["a", [1, "b", true, [2], {"c": 3}]]])),
        ("# one\n// two\n/* three * / \n */ a = 1 # end", json!([["a", 1]])),
        ("a = 1\r\nb = 2\r\n", json!([["a", 1], ["b", 2]])),
        (r#"a = "\t\"\\\u00e9\U0001F600\101\x41\xc3\xa9""#, json!([["a", "\t\"\\é😀AAé"]])),
        (r#"a = "${f("x")}\n""#, json!([["a", "${f(\"x\")}\n"]])),
        (r#"a = "{{identity.entity.id}}""#, json!([["a", "{{identity.entity.id}}"]])),
        ("a = <<E\n one\n  two\nE\nb = 1", json!([["a", " one\n  two\n"], ["b", 1]])),
        ("a = <<-E\n   one\n    two\n  E\n", json!([["a", " one\n  two\n"]])),
        ("a = <<-E\n one\n   E\n", json!([["a", " one\n"]])),
        ("a = <<E\r\none\r\nE\r\n", json!([["a", "one\n"]])),
        ("a = <<E\nE", json!([["a", ""]])),
        ("ключ = \"значение\"", json!([["ключ", "значение"]])),
        ("", json!([])),
        ("\u{feff}a = 1", json!([["a", 1]])),
    ] {
        assert_eq!(tree(text), wanted, "{text:?}");
    }
}

#[test]
fn json_is_read_into_the_same_tree() {
    let text = " {\"a\": [1, 2.5, true, null, {\"b\": \"\\u00e9\\n\"}], \"c\": {}, \"c\": -3}";
    assert_eq!(
        tree(text),
        json!([["a", [1, 2.5, true, null, {"b": "é\n"}]], ["c", {}], ["c", -3]])
    );
}

#[test]
fn the_last_of_repeated_attributes_counts() {
    let object = parse("a = 1\na = 2").expect("good");
    assert!(
        matches!(object.get("a").map(|v| &v.kind), Some(Kind::Integer(2, text)) if text == "2")
    );
    assert_eq!(object.all("a").count(), 2);
}

#[test]
fn a_number_keeps_the_text_it_was_written_as() {
    let object = parse("mode = 0640").expect("good");
    let kind = object.get("mode").map(|v| v.kind.clone());
    assert_eq!(kind, Some(Kind::Integer(0o640, "0640".into())));
}

#[test]
fn blocks_are_the_same_however_they_are_written() {
    for text in [
        r#"l "tcp" { a = 1 } l "unix" { a = 2 }"#,
        r#"l { tcp { a = 1 } "unix" = { a = 2 } }"#,
        r#"l = { tcp = { a = 1 } unix = { a = 2 } }"#,
        r#"{"l": {"tcp": {"a": 1}, "unix": {"a": 2}}}"#,
        r#"{"l": [{"tcp": {"a": 1}}, {"unix": [{"a": 2}]}]}"#,
        r#"{"l": {"tcp": {"a": 1}}, "l": {"unix": {"a": 2}}}"#,
    ] {
        let object = parse(text).expect("good");
        let blocks = object.blocks("l").expect("blocks");
        let found: Vec<_> = blocks
            .iter()
            .map(|b| (b.label.text.as_str(), b.body.get("a").map(|v| v.to_json())))
            .collect();
        assert_eq!(found, [("tcp", Some(json!(1))), ("unix", Some(json!(2)))], "{text}");
    }
    for (text, wanted) in [
        ("l = 1", "line 1, column 5: found a number, wanted an object"),
        ("l \"a\" \"b\" {}", "line 1, column 7: found a second label, wanted '{'"),
        ("l { a = 1 }", "line 1, column 9: found a number, wanted an object"),
        ("{\"l\": {\"a\": [1]}}", "line 1, column 14: found a number, wanted an object"),
    ] {
        let error = parse(text).expect("good").blocks("l").expect_err("no blocks");
        assert_eq!(error.to_string(), wanted, "{text}");
    }
}

#[test]
fn keys_and_values_know_their_place() {
    let object = parse("a = 1\n  /* é */ b \"é\" \"x\" {\n\tc = [2,\n 3]\n}").expect("good");
    let b = &object.items[1];
    let place = |p: boltwork_hcl::Position| (p.line, p.column);
    assert_eq!(place(b.name.position), (2, 11));
    assert_eq!(place(b.labels[1].position), (2, 17));
    assert_eq!(place(b.value.position), (2, 21));
    let c = b.value.as_object().and_then(|o| o.get("c")).expect("c");
    assert_eq!(place(c.position), (3, 6));
    assert_eq!(place(c.as_list().expect("list")[1].position), (4, 2));
}

#[test]
fn an_error_says_where_what_and_what_instead() {
    for (text, wanted) in [
        ("a = ", "line 1, column 5: found the end of the text, wanted a value"),
        ("a =\n}", "line 2, column 1: found '}', wanted a value"),
        ("a = b", "line 1, column 5: found the name b, wanted a value"),
        ("a 1", "line 1, column 3: found a number, wanted '=' or '{' after the name"),
        ("a b = 1", "line 1, column 5: found '=', wanted '{' after the labels"),
        ("a {\n b = 1", "line 2, column 7: found the end of the text, wanted a name"),
        ("a = [1 2]", "line 1, column 8: found a number, wanted ',' or ']'"),
        ("a = \"x\nb", "line 1, column 7: found the end of the line, wanted a closing '\"'"),
        ("a = \"\\/\"", "line 1, column 6: found an unknown escape"),
        ("a = \"\\xff\"", "line 1, column 5: found a string that is not UTF-8"),
        ("a = \"\\ud800\"", "line 1, column 6: found an unknown escape"),
        ("a = \"${x\"", "line 1, column 5: found a string without end"),
        ("a = 09", "line 1, column 5: found 09, wanted a number"),
        ("a = 9223372036854775808", "found 9223372036854775808, wanted a number that fits"),
        ("a = 1e999", "found 1e999"),
        ("a = 0x", "found 0x"),
        ("a = -", "found -, wanted a number"),
        ("a = <<\n", "line 1, column 7: found the end of the line, wanted the heredoc's name"),
        ("a = <<E\nx", "line 1, column 5: found a heredoc without end, wanted a line with E alone"),
        ("/* x", "line 1, column 1: found a comment without end"),
        ("/ x", "line 1, column 1: found '/'"),
        ("a = 1;", "line 1, column 6: found ';'"),
        ("\u{1}", "found the control character U+0001"),
        ("true = 1", "line 1, column 1: found true, wanted a name"),
        ("}", "line 1, column 1: found '}', wanted a name"),
        ("{\"a\": 1,}", "line 1, column 9: found '}', wanted a key in quotes"),
        ("{\"a\" 1}", "line 1, column 6: found '1', wanted ':'"),
        ("{\"a\": 01}", "line 1, column 7: found a malformed or too large number"),
        ("{\"a\": nul}", "line 1, column 7: found 'n', wanted true, false, null"),
        ("{\"a\": [1,\n 2}", "line 2, column 3: found '}', wanted ',' or ']'"),
        ("{\"a\": \"\\x\"}", "line 1, column 7: found a string with a bad escape"),
        ("{\"a\": \"", "line 1, column 8: found the end of the text, wanted a closing"),
        ("{} x", "line 1, column 4: found 'x', wanted the end of the text"),
        ("{\"a\":", "line 1, column 6: found the end of the text, wanted a value"),
    ] {
        let error = refusal(text);
        assert!(error.contains(wanted), "{text:?}: {error:?} lacks {wanted:?}");
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    for (open, close) in [("a {", "}"), ("a = {", "}")] {
        let nested = |n: usize| open.repeat(n) + &close.repeat(n);
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(parse(&nested(MAX_DEPTH + 1)), Err(Error::TooDeep { .. })));
    }
    let lists = |n: usize| format!("a = {}{}", "[".repeat(n), "]".repeat(n));
    assert!(parse(&lists(MAX_DEPTH)).is_ok());
    assert!(matches!(parse(&lists(100_000)), Err(Error::TooDeep { .. })));
    let json = |n: usize| "{\"a\":".repeat(n) + "1" + &"}".repeat(n);
    assert!(parse(&json(MAX_DEPTH)).is_ok());
    assert!(matches!(parse(&json(100_000)), Err(Error::TooDeep { .. })));
    let long = "#".repeat(MAX_BYTES + 1);
    assert!(matches!(parse(&long), Err(Error::TooLong { .. })));
    assert!(parse(&long[1..]).is_ok());
}

#[test]
fn an_error_never_quotes_a_string() {
    for text in
        ["a = [\"s3cret\" \"s3cret\"]", "a = \"s3cret\" \"s3cret\" = 1 2", "{\"a\" \"s3cret\"}"]
    {
        assert!(!refusal(text).contains("s3cret"), "{text}");
    }
}
