//! Pieces into a tree: what is copied, what is printed, what depends on a condition.

use super::TemplateError;
use super::functions::{self, Function};
use super::scan::{Piece, Word};
use super::value::Value;

/// How deep parentheses and conditions may be nested.
const MAX_DEPTH: usize = 32;

/// Words of Go's language that make nothing a name needs.
const NOT_HERE: [&str; 7] = ["range", "with", "define", "template", "block", "break", "continue"];

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    /// Printed, unless it only sets a variable.
    Print(Pipeline),
    /// Conditions with what follows from each, and what follows if none holds.
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
}

/// `command | command`, perhaps into a variable.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub target: Option<Target>,
    pub commands: Vec<Vec<Operand>>,
}

/// A variable that a pipeline sets.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub name: String,
    /// `:=`, not `=`.
    pub declares: bool,
}

/// One part of a command.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Literal(Value),
    DisplayName,
    RoleName,
    Variable(String),
    Function(&'static Function),
    Group(Pipeline),
}

/// What ended a list of nodes.
enum Closing {
    Input,
    End,
    Else(Vec<Word>, usize),
}

/// Makes the tree.
pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { pieces: pieces.into_iter(), variables: Vec::new() };
    match parser.nodes(0)? {
        (nodes, Closing::Input) => Ok(nodes),
        (_, Closing::End) => wrong(1, "unexpected {{end}}"),
        (_, Closing::Else(_, line)) => wrong(line, "unexpected {{else}}"),
    }
}

fn wrong<T>(line: usize, what: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::Syntax { line, what: what.into() })
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    variables: Vec<String>,
}

impl Parser {
    fn nodes(&mut self, depth: usize) -> Result<(Vec<Node>, Closing), TemplateError> {
        let visible = self.variables.len();
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (words, line) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(words, line) => (words, line),
            };
            let keyword = match words.first() {
                Some(Word::Name(name)) => name.as_str(),
                _ => "",
            };
            match keyword {
                "if" => nodes.push(self.condition(words[1..].to_vec(), line, depth + 1)?),
                "end" | "else" => {
                    let end =
                        if keyword == "end" { Closing::End } else { Closing::Else(words, line) };
                    self.variables.truncate(visible);
                    return Ok((nodes, end));
                }
                _ if NOT_HERE.contains(&keyword) => {
                    return wrong(
                        line,
                        format!("{keyword:?} is not supported in username templates"),
                    );
                }
                _ => nodes.push(Node::Print(self.pipeline(words, line)?)),
            }
        }
        Ok((nodes, Closing::Input))
    }

    fn condition(
        &mut self,
        words: Vec<Word>,
        line: usize,
        depth: usize,
    ) -> Result<Node, TemplateError> {
        if depth > MAX_DEPTH {
            return wrong(line, format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let visible = self.variables.len();
        let mut branches = Vec::new();
        let mut test = self.pipeline(words, line)?;
        let otherwise = loop {
            let (nodes, end) = self.nodes(depth)?;
            branches.push((test, nodes));
            let words = match end {
                Closing::End => break Vec::new(),
                Closing::Input => return wrong(line, "unexpected EOF: {{if}} without {{end}}"),
                Closing::Else(words, _) => words,
            };
            if words.len() == 1 {
                match self.nodes(depth)? {
                    (nodes, Closing::End) => break nodes,
                    _ => return wrong(line, "{{else}} without its {{end}}"),
                }
            }
            if words[1] != Word::Name("if".to_owned()) {
                return wrong(line, "only {{else}} or {{else if condition}}");
            }
            test = self.pipeline(words[2..].to_vec(), line)?;
        };
        self.variables.truncate(visible);
        Ok(Node::If(branches, otherwise))
    }

    fn pipeline(&mut self, words: Vec<Word>, line: usize) -> Result<Pipeline, TemplateError> {
        let mut words = words.into_iter().peekable();
        let pipeline = self.commands(&mut words, line, 0)?;
        if words.next().is_some() {
            return wrong(line, "unexpected right paren");
        }
        Ok(pipeline)
    }

    /// Reads up to a closing parenthesis, or to the end.
    fn commands(
        &mut self,
        words: &mut std::iter::Peekable<std::vec::IntoIter<Word>>,
        line: usize,
        depth: usize,
    ) -> Result<Pipeline, TemplateError> {
        if depth > MAX_DEPTH {
            return wrong(line, format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let mut target = None;
        let mut commands = vec![Vec::new()];
        while let Some(word) = words.next_if(|word| *word != Word::Close) {
            let at_start = commands.len() == 1 && commands[0].is_empty() && target.is_none();
            let command = commands.last_mut().expect("there is always one");
            let operand = match word {
                Word::Pipe => {
                    commands.push(Vec::new());
                    continue;
                }
                Word::Variable(name) if at_start && depth == 0 && sets(words.peek()) => {
                    let declares = words.next() == Some(Word::Declare);
                    target = Some(Target { name, declares });
                    continue;
                }
                Word::Open => {
                    let group = self.commands(words, line, depth + 1)?;
                    if words.next() != Some(Word::Close) {
                        return wrong(line, "unclosed left paren");
                    }
                    Operand::Group(group)
                }
                word => self.operand(word, line)?,
            };
            command.push(operand);
        }
        if commands.iter().any(Vec::is_empty) {
            return wrong(line, "missing value for command");
        }
        let later = commands.iter().skip(1);
        if later.clone().any(|command| !matches!(command[0], Operand::Function(_))) {
            return wrong(line, "non executable command in pipeline");
        }
        if let Some(Target { name, declares }) = &target {
            match declares {
                true => self.variables.push(name.clone()),
                false => self.known(name, line)?,
            }
        }
        Ok(Pipeline { target, commands })
    }

    fn operand(&self, word: Word, line: usize) -> Result<Operand, TemplateError> {
        Ok(match word {
            Word::Literal(value) => Operand::Literal(value),
            Word::Field(name) => match name.as_str() {
                "DisplayName" => Operand::DisplayName,
                "RoleName" => Operand::RoleName,
                _ => return wrong(line, format!("can't evaluate field {name}")),
            },
            Word::Variable(name) => {
                self.known(&name, line)?;
                Operand::Variable(name)
            }
            Word::Name(name) => match functions::find(&name) {
                Some(function) => Operand::Function(function),
                None => return wrong(line, format!("function {name:?} not defined")),
            },
            Word::Dot => return wrong(line, "`.` alone is no text: name a field of it"),
            _ => return wrong(line, "unexpected `=` in operand"),
        })
    }

    fn known(&self, name: &str, line: usize) -> Result<(), TemplateError> {
        match self.variables.iter().any(|known| known == name) {
            true => Ok(()),
            false => wrong(line, format!("undefined variable \"${name}\"")),
        }
    }
}

fn sets(word: Option<&Word>) -> bool {
    matches!(word, Some(Word::Declare | Word::Assign))
}
