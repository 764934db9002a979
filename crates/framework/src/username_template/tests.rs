//! What templates make, beside what Go makes of them.

use time::macros::datetime;

use super::*;

const DEFAULT: &str = r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#;

fn made(template: &str) -> Result<String, TemplateError> {
    let data = UsernameData { display_name: "token-alice", role_name: "Read-Only" };
    UsernameTemplate::parse(template)?.generate_at(data, datetime!(2021-03-04 15:06:07.089 UTC))
}

#[track_caller]
fn makes(template: &str, wanted: &str) {
    assert_eq!(made(template).as_deref(), Ok(wanted), "{template}");
}

#[track_caller]
fn refused(template: &str, why: &str) {
    let error = made(template).expect_err(template).to_string();
    assert!(error.contains(why), "{template}: {error}");
}

#[test]
fn vaults_default_makes_vaults_names() {
    let name = made(DEFAULT).unwrap();
    let parts: Vec<&str> = name.split('-').collect();
    // The display name is cut after its dash and two letters: "token-al".
    assert_eq!(&parts[..5], ["v", "token", "al", "Read", "Onl"], "{name}");
    assert_eq!((parts[5].len(), parts[6]), (20, "1614870367"), "{name}");
    assert!(parts[5].chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
    assert_ne!(made(DEFAULT), made(DEFAULT));
}

#[test]
fn functions_do_what_vaults_do() {
    for (template, wanted) in [
        ("{{.DisplayName | truncate 5}}", "token"),
        ("{{truncate 5 .DisplayName}}", "token"),
        ("{{.DisplayName | truncate 50}}", "token-alice"),
        ("{{\"12345678901\" | truncate_sha256 10}}", "12d03b2d03"),
        ("{{\"1234567890\" | truncate_sha256 10}}", "1234567890"),
        ("{{.RoleName | uppercase}} {{.RoleName | lowercase}}", "READ-ONLY read-only"),
        ("{{.RoleName | replace \"-\" \"_\"}}", "Read_Only"),
        ("{{\"aa\" | replace \"\" \"-\"}}", "-a-a-"),
        (
            "{{\"abc\" | sha256}}",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        ("{{\"ab?>\" | base64}}", "YWI/Pg=="),
        ("{{\"YWI/Pg==\" | decode_base64}}", "ab?>"),
        ("{{\"a\\xff\" | hex}}", ""),
        ("{{\"abc\" | hex}} {{\"616263\" | decode_hex}}", "616263 abc"),
        ("{{unix_time}} {{unix_time_millis}}", "1614870367 1614870367089"),
        ("{{if glob \"Read*\" .RoleName}}r{{else}}w{{end}}", "r"),
        (
            "{{glob \"*a*c*\" \"xaycz\"}} {{glob \"a*\" \"ba\"}} {{glob \"a*a\" \"a\"}}",
            "true false false",
        ),
    ] {
        match wanted {
            "" => refused(template, "an escape that means no character"),
            _ => makes(template, wanted),
        }
    }
    let uuid = made("{{uuid}}").unwrap();
    assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
}

#[test]
fn moments_are_written_as_go_writes_them() {
    for (layout, wanted) in [
        ("2006-01-02T15:04:05Z07:00", "2021-03-04T15:06:07Z"),
        ("Mon Jan _2 3:04:05.000 PM MST 06", "Thu Mar  4 3:06:07.089 PM UTC 21"),
        ("20060102150405", "20210304150607"),
        (
            "Monday January 2 -0700 -07:00 002 .999 03pm 1/2 4 5",
            "Thursday March 4 +0000 +00:00 063 .089 03pm 3/4 6 7",
        ),
        ("Janet stays", "Janet stays"),
    ] {
        makes(&format!("{{{{timestamp \"{layout}\"}}}}"), wanted);
    }
}

#[test]
fn printf_follows_go() {
    for (arguments, wanted) in [
        (r#""%s|%5s|%-5s|%.2s" "abc" "abc" "abc" "abc""#, "abc|  abc|abc  |ab"),
        (r#""%d|%05d|%+d|%x|%X|%o|%b|%c" 42 -42 42 255 255 8 5 65"#, "42|-0042|+42|ff|FF|10|101|A"),
        (r#""%v %v %t %%" "a" 1 true"#, "a 1 true %"),
        (r#""%q %x" "a\"b" "abc""#, r#""a\"b" 616263"#),
        (r#""%#x %.3d" 255 7"#, "0xff 007"),
    ] {
        makes(&format!("{{{{printf {arguments}}}}}"), wanted);
    }
    refused("{{printf \"%s\"}}", "more verbs than arguments");
    refused("{{printf \"x\" 1}}", "more arguments than verbs");
    refused("{{printf \"%d\" \"a\"}}", "does not fit");
    refused("{{printf \"%9999999999d\" 1}}", "a width beyond");
    refused("{{printf \"%\"}}", "incomplete verb");
}

#[test]
fn the_language_is_gos() {
    for (template, wanted) in [
        ("plain", "plain"),
        ("a {{- \" b \" -}} c", "a b c"),
        ("a{{/* nothing */}}b{{- /* trims */ -}} c", "abc"),
        ("{{`raw \\n`}}{{\"\\t\\u00e9\"}}", "raw \\n\té"),
        ("{{if eq .RoleName \"x\" \"Read-Only\"}}1{{else if true}}2{{else}}3{{end}}", "1"),
        ("{{if false}}1{{else if and true (not \"\")}}2{{else}}3{{end}}", "2"),
        ("{{if or false 0 nil \"\"}}1{{else}}3{{end}}", "3"),
        ("{{if lt 1 2}}a{{end}}{{if ge \"a\" \"b\"}}b{{end}}{{if ne 1 2}}c{{end}}", "ac"),
        (
            "{{$x := .RoleName | lowercase}}{{$x}}{{if true}}{{$x = \"y\"}}{{end}}{{$x}}",
            "read-onlyy",
        ),
        ("{{if true}}{{$x := 1}}{{$x}}{{end}}", "1"),
        ("{{len .RoleName}} {{slice .RoleName 1 3}} {{print 1 2 \"a\" 3}}", "9 ea 1 2a3"),
        ("{{(printf \"%s-%d\" (.RoleName | truncate (len \"abc\")) 0x10) | uppercase}}", "REA-16"),
        ("{{true}} {{-3}}", "true -3"),
    ] {
        makes(template, wanted);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (template, why) in [
        ("", "missing template"),
        ("{{", "unclosed action"),
        ("x\n\n{{ .RoleName", "line 3: unclosed action"),
        ("{{}}", "missing value for command"),
        ("{{nothing}}", "function \"nothing\" not defined"),
        ("{{.Password}}", "can't evaluate field Password"),
        ("{{.}}", "`.` alone"),
        ("{{$x}}", "undefined variable \"$x\""),
        ("{{if true}}{{$x := 1}}{{end}}{{$x}}", "undefined variable"),
        ("{{if true}}", "without {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if true}}{{else}}{{else}}{{end}}", "{{else}} without its {{end}}"),
        ("{{range .}}{{end}}", "not supported in username templates"),
        ("{{\"open}}", "unterminated quoted string"),
        ("{{`open}}", "unterminated raw quoted string"),
        ("{{/* open}}", "unclosed comment"),
        ("{{(1}}", "unclosed left paren"),
        ("{{1)}}", "unexpected right paren"),
        ("{{1 | .RoleName}}", "non executable command"),
        ("{{1.5}}", "whole number"),
        ("{{.RoleName | truncate 0}}", "max length must be > 0 but was 0"),
        ("{{.RoleName | truncate_sha256 8}}", "max length must be > 8 but was 8"),
        ("{{.RoleName | truncate}}", "wrong number of args: want 2 got 1"),
        ("{{truncate \"a\" \"b\"}}", "expected int; got string"),
        ("{{uppercase 1}}", "expected string; got int"),
        ("{{eq 1 \"a\"}}", "incompatible types"),
        ("{{\"a\" 1}}", "can't give argument to non-function"),
        ("{{slice \"é\" 1}}", "out of range"),
        ("{{random -1}}", "between 0 and"),
    ] {
        refused(template, why);
    }
}

#[test]
fn a_character_is_never_cut_in_two() {
    makes("{{\"aé\" | truncate 2}}", "a");
    makes("{{\"aé\" | truncate 3}}", "aé");
    assert!(made("{{\"12é4567890123\" | truncate_sha256 11}}").unwrap().starts_with("12"));
}

#[test]
fn nothing_grows_without_a_bound() {
    refused("{{random 4097}}", "between 0 and 4096");
    let grows = "{{$x := random 4096}}".to_owned() + &"{{$x = printf \"%s%s\" $x $x}}".repeat(40);
    refused(&grows, "grew beyond");
    refused("{{random 4096 | replace \"\" (random 4096)}}", "too long");
    refused(&"{{random 4096}}".repeat(5), "grew beyond");
    refused(&format!("{}1{}", "{{".to_owned() + &"(".repeat(50), ")".repeat(50) + "}}"), "deeper");
    refused(&("{{if true}}".repeat(50) + &"{{end}}".repeat(50)), "deeper");
    refused(&"x".repeat(MAX_TEMPLATE + 1), "longer than");
}

#[test]
fn no_text_makes_it_panic() {
    let words = [
        "{{",
        "}}",
        "-",
        " ",
        "(",
        ")",
        "|",
        "\"",
        "`",
        "$x",
        ":=",
        "=",
        ".",
        ".RoleName",
        "if",
        "end",
        "else",
        "random",
        "é",
        "\\",
        "9",
        "/*",
        "*/",
        "printf",
        "%",
        "\n",
        "truncate",
    ];
    // A sequence that visits many neighbourhoods, the same on every machine.
    let mut state = 1_u32;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(words[(state >> 16) as usize % words.len()]);
        }
        let _ = made(&text);
        let _ = made(&format!("{{{{{text}}}}}"));
        let _ = made(&format!("{{{{printf \"{text}\" 1 \"a\"}}}}{{{{timestamp \"{text}\"}}}}"));
    }
}
