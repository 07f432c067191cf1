//! kubectl's JSONPath: templates such as `{range .items[*]}{.metadata.name}{"\n"}{end}`, read and evaluated as
//! client-go does it, <https://kubernetes.io/docs/reference/kubectl/jsonpath/>.
//!
//! A template is text with actions in braces. An action is a row of steps, each of which makes values of the
//! values before it; what the last one leaves is printed.

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::go;

pub(crate) use evaluate::EvaluateError;
pub(crate) use parse::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Part>);

/// One path, as `--sort-by` and custom columns take it: `.metadata.name`, `metadata.name` or `{.metadata.name}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// A string.
    Text(Value),
    Action(Vec<Step>),
    /// `{range …}…{end}`: the body is printed for each value.
    Range {
        over: Vec<Step>,
        body: Vec<Part>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// `.*`
    Wildcard,
    /// `..`
    Descend,
    Slice(Slice),
    Union(Vec<Vec<Step>>),
    Filter(Box<Filter>),
    /// A quoted text, a number or a boolean: takes the place of what was found.
    Literal(Value),
}

/// `[start:end:step]`; `[start]` has neither of the others, `[*]` none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    start: Option<i64>,
    end: End,
    step: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    At(i64),
    /// One element.
    AfterStart,
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Vec<Step>,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Compare(Operator, Vec<Step>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Template, ParseError> {
        parse::template(text).map(Template)
    }

    /// What it prints of `object`. A key that is missing prints nothing.
    pub(crate) fn text(&self, object: &Value) -> Result<String, EvaluateError> {
        let results = evaluate::parts(&self.0, object)?;
        let texts = results.iter().map(|found| {
            let texts: Vec<String> = found.iter().map(|value| go::text(value)).collect();
            texts.join(" ")
        });
        Ok(texts.collect())
    }

    /// As `-o jsonpath-as-json`: what each part of the template finds, as an array.
    pub(crate) fn arrays(&self, object: &Value) -> Result<Vec<Value>, EvaluateError> {
        let results = evaluate::parts(&self.0, object)?;
        Ok(results.into_iter().map(|found| found.into_iter().cloned().collect()).collect())
    }
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Path, ParseError> {
        parse::path(text).map(Path)
    }

    pub(crate) fn find<'a>(&'a self, object: &'a Value) -> Result<Vec<&'a Value>, EvaluateError> {
        evaluate::steps(&self.0, vec![object])
    }
}
