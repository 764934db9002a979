//! Path templates, and the tree that finds the one which matches a path: segments, no expressions.

use std::{collections::HashMap, fmt::Write as _, ops::Range};

/// Captures of one template, at most. Bounds what a lookup can try.
const MAX_CAPTURES: usize = 8;

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// These very characters.
    Literal(String),
    /// `{name}`: one segment.
    One(String),
    /// `{name?}`: one segment or none; the last.
    Optional(String),
    /// `{name...}`: whatever is left; the last.
    Rest(String),
}

impl Segment {
    /// The name, if it is a capture.
    pub fn capture(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::One(name) | Self::Optional(name) | Self::Rest(name) => Some(name),
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(inner) = text.strip_prefix('{') else {
            return match text {
                "" => Err("an empty segment"),
                _ if text.contains(['{', '}', '*', '+']) => {
                    Err("a capture must be a whole segment, and `*` and `+` mean nothing here")
                }
                _ => Ok(Self::Literal(text.to_owned())),
            };
        };
        let inner = inner.strip_suffix('}').ok_or("a `{` without its `}` at the segment's end")?;
        let (name, make): (_, fn(String) -> Self) = if let Some(name) = inner.strip_suffix("...") {
            (name, Self::Rest)
        } else if let Some(name) = inner.strip_suffix('?') {
            (name, Self::Optional)
        } else {
            (inner, Self::One)
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("a capture's name is letters, digits and `_`");
        }
        Ok(make(name.to_owned()))
    }
}

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// Its segments; none for the mount's root.
    pub segments: Vec<Segment>,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        let segments = text.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let inner = segments.split_last().map_or(&[][..], |(_, inner)| inner);
        if inner.iter().any(|s| matches!(s, Segment::Optional(_) | Segment::Rest(_))) {
            return Err("`{name?}` and `{name...}` must be the last segment");
        }
        let names: Vec<_> = segments.iter().filter_map(Segment::capture).collect();
        if names.len() > MAX_CAPTURES {
            return Err("more than eight captures");
        }
        if (1..names.len()).any(|i| names[..i].contains(&names[i])) {
            return Err("two captures of one name");
        }
        Ok(Self { segments })
    }

    /// Names of the captures, in order.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::capture)
    }

    /// The template as patterns of special paths: `+` for one segment, `*` for the rest.
    pub fn patterns(&self) -> Vec<String> {
        let mut whole = String::new();
        let mut patterns = Vec::new();
        for segment in &self.segments {
            if matches!(segment, Segment::Optional(_)) {
                patterns.push(whole.clone());
            }
            if !whole.is_empty() {
                whole.push('/');
            }
            match segment {
                Segment::Literal(text) => whole.push_str(text),
                Segment::One(_) | Segment::Optional(_) => whole.push('+'),
                Segment::Rest(_) => whole.push('*'),
            }
        }
        patterns.push(whole);
        patterns
    }

    /// The template as prefix patterns, for lists in which servers know no `+`: everything below
    /// the first capture. Wider than the template, never narrower.
    pub fn prefix_patterns(&self) -> Vec<String> {
        let captures = self.patterns();
        let mut prefixes: Vec<String> = captures
            .into_iter()
            .map(|pattern| match pattern.find('+') {
                Some(at) => format!("{}*", &pattern[..at]),
                None => pattern,
            })
            .collect();
        prefixes.dedup();
        prefixes
    }

    /// The paths that the template stands for in OpenAPI, with their captures: an optional segment
    /// makes two.
    pub fn openapi(&self) -> Vec<(String, Vec<&str>)> {
        let (mut path, mut names, mut found) = (String::new(), Vec::new(), Vec::new());
        for segment in &self.segments {
            if let Segment::Optional(_) = segment {
                found.push((
                    if path.is_empty() { "/".to_owned() } else { path.clone() },
                    names.clone(),
                ));
            }
            // Writing to a string cannot fail.
            let _ = match segment {
                Segment::Literal(text) => write!(path, "/{text}"),
                capture => write!(path, "/{{{}}}", capture.capture().unwrap_or_default()),
            };
            names.extend(segment.capture());
        }
        found.push((if path.is_empty() { "/".to_owned() } else { path }, names));
        found
    }
}

/// All templates of a table, merged into one tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    literals: HashMap<Box<str>, Tree>,
    one: Option<Box<Tree>>,
    end: Option<usize>,
    /// What ends here with a slash: a list. Without one, a slash makes another path, so that a
    /// policy's word on the path itself cannot be got around.
    folder: Option<usize>,
    rest: Option<usize>,
}

impl Tree {
    /// Adds a template under a number; returns the number of one that matches the same paths. With
    /// `lists` it also matches with a slash at the end.
    pub fn insert(&mut self, template: &Template, number: usize, lists: bool) -> Result<(), usize> {
        let mut node = self;
        let folder = lists.then_some(number);
        for segment in &template.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.as_str().into()).or_default(),
                Segment::One(_) => node.one.get_or_insert_default(),
                Segment::Optional(_) => {
                    take(&mut node.end, number)?;
                    node.folder = folder;
                    node.one.get_or_insert_default()
                }
                Segment::Rest(_) => return take(&mut node.rest, number),
            };
        }
        take(&mut node.end, number)?;
        node.folder = folder;
        Ok(())
    }

    /// The template that matches a path, and the captures' places in it.
    pub fn find(&self, path: &str) -> Option<(usize, Vec<Range<usize>>)> {
        let mut captures = Vec::new();
        let number = self.walk(path, Some(0), &mut captures)?;
        Some((number, captures))
    }

    /// Looks below this node from `at` on; `None` when the path has ended without a slash.
    fn walk(
        &self,
        path: &str,
        at: Option<usize>,
        captures: &mut Vec<Range<usize>>,
    ) -> Option<usize> {
        let Some(start) = at else { return self.end };
        if start == path.len() {
            let ended = if path.is_empty() { self.end } else { self.folder };
            return ended.or_else(|| self.rest.inspect(|_| captures.push(start..start)));
        }
        let (end, next) = match path[start..].find('/') {
            Some(length) => (start + length, Some(start + length + 1)),
            None => (path.len(), None),
        };
        if let Some(child) = self.literals.get(&path[start..end])
            && let Some(found) = child.walk(path, next, captures)
        {
            return Some(found);
        }
        if let Some(child) = &self.one
            && start < end
        {
            captures.push(start..end);
            if let Some(found) = child.walk(path, next, captures) {
                return Some(found);
            }
            captures.pop();
        }
        self.rest.inspect(|_| captures.push(start..path.len()))
    }
}

fn take(slot: &mut Option<usize>, number: usize) -> Result<(), usize> {
    match slot {
        Some(other) => Err(*other),
        None => {
            *slot = Some(number);
            Ok(())
        }
    }
}
