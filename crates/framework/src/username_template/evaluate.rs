//! Carries a template out. There are no loops, so the work is bounded by the template's length.

use time::OffsetDateTime;

use super::functions::Function;
use super::parse::{Node, Operand, Pipeline};
use super::value::Value;
use super::{MAX_TEXT, UsernameData};

/// Makes the text of a whole template.
pub(super) fn run(
    nodes: &[Node],
    data: UsernameData<'_>,
    now: OffsetDateTime,
) -> Result<String, String> {
    let mut run = Run { data, now, variables: Vec::new(), output: String::new() };
    run.nodes(nodes)?;
    Ok(run.output)
}

struct Run<'a> {
    data: UsernameData<'a>,
    now: OffsetDateTime,
    variables: Vec<(&'a str, Value)>,
    output: String,
}

impl<'a> Run<'a> {
    fn nodes(&mut self, nodes: &'a [Node]) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.print(text)?,
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline)?;
                    if pipeline.target.is_none() {
                        self.print(&value.printed())?;
                    }
                }
                Node::If(branches, otherwise) => self.choose(branches, otherwise)?,
            }
        }
        Ok(())
    }

    fn choose(
        &mut self,
        branches: &'a [(Pipeline, Vec<Node>)],
        otherwise: &'a [Node],
    ) -> Result<(), String> {
        let visible = self.variables.len();
        let mut chosen = otherwise;
        for (test, nodes) in branches {
            if self.pipeline(test)?.is_true() {
                chosen = nodes;
                break;
            }
        }
        self.nodes(chosen)?;
        self.variables.truncate(visible);
        Ok(())
    }

    fn print(&mut self, text: &str) -> Result<(), String> {
        if self.output.len() + text.len() > MAX_TEXT {
            return Err(too_long());
        }
        self.output.push_str(text);
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &'a Pipeline) -> Result<Value, String> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, last)?);
        }
        let value = last.unwrap_or(Value::Nil);
        if let Some(target) = &pipeline.target {
            let known = self.variables.iter_mut().rev().find(|(name, _)| *name == target.name);
            match known.filter(|_| !target.declares) {
                Some((_, old)) => *old = value.clone(),
                None => self.variables.push((&target.name, value.clone())),
            }
        }
        Ok(value)
    }

    /// What came through the pipe is the last argument.
    fn command(&mut self, command: &'a [Operand], piped: Option<Value>) -> Result<Value, String> {
        let Operand::Function(function) = &command[0] else {
            if command.len() > 1 {
                return Err("can't give argument to non-function".to_owned());
            }
            return self.operand(&command[0]);
        };
        let mut arguments = Vec::with_capacity(command.len());
        for operand in &command[1..] {
            arguments.push(self.operand(operand)?);
        }
        arguments.extend(piped);
        self.call(function, &arguments)
    }

    fn operand(&mut self, operand: &'a Operand) -> Result<Value, String> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::DisplayName => Ok(Value::Text(self.data.display_name.to_owned())),
            Operand::RoleName => Ok(Value::Text(self.data.role_name.to_owned())),
            Operand::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map(|(_, value)| value.clone()).ok_or_else(|| format!("${name} is not set"))
            }
            Operand::Function(function) => self.call(function, &[]),
            Operand::Group(pipeline) => self.pipeline(pipeline),
        }
    }

    fn call(&self, function: &Function, arguments: &[Value]) -> Result<Value, String> {
        let value = function
            .call(arguments, self.now)
            .map_err(|why| format!("error calling {}: {why}", function.name))?;
        match &value {
            Value::Text(text) if text.len() > MAX_TEXT => Err(too_long()),
            _ => Ok(value),
        }
    }
}

fn too_long() -> String {
    format!("a text grew beyond {MAX_TEXT} bytes")
}
