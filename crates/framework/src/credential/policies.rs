//! Lists of policies, as auth methods keep them.

use std::collections::BTreeSet;

/// Names in lower case, sorted, each once, without empty ones; `root` among them drops all others.
pub fn sanitized_policies<T: AsRef<str>>(policies: &[T]) -> Vec<String> {
    let clean = policies.iter().map(|policy| policy.as_ref().trim().to_lowercase());
    let clean: BTreeSet<String> = clean.filter(|policy| !policy.is_empty()).collect();
    if clean.contains("root") {
        return vec!["root".to_owned()];
    }
    clean.into_iter().collect()
}

/// Whether two lists give the same. `default` does not count: the core adds it.
pub fn equivalent_policies(a: &[String], b: &[String]) -> bool {
    let set = |list: &[String]| {
        let policies = sanitized_policies(list).into_iter();
        policies.filter(|policy| policy != "default").collect::<Vec<_>>()
    };
    set(a) == set(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_root_stands_alone() {
        assert_eq!(sanitized_policies(&["b", " A ", "", "a"]), ["a", "b"]);
        assert_eq!(sanitized_policies(&["b", "ROOT"]), ["root"]);
        assert!(sanitized_policies::<&str>(&[]).is_empty());
    }

    #[test]
    fn order_case_and_default_make_no_difference() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(equivalent_policies(&list(&["B", "a"]), &list(&["a", "default", "b"])));
        assert!(equivalent_policies(&[], &list(&["default"])));
        assert!(!equivalent_policies(&list(&["a"]), &list(&["a", "b"])));
    }
}
