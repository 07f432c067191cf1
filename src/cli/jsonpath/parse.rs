//! Text → template, with client-go's grammar: what ends a field, what a quote escapes, what a filter holds.

use serde_json::Value;

use super::{End, Filter, Operator, Part, Slice, Step, Test};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("an action that begins with {{ has no }}")]
    UnclosedAction,
    #[error("`{0}` is out of place in an action")]
    UnexpectedCharacter(char),
    #[error("`{0}` is no word of a template: only range and end are, and a field begins with a dot")]
    UnknownWord(String),
    #[error("a [ has no ]")]
    UnclosedArray,
    #[error("a filter [?( has no )]")]
    UnclosedFilter,
    #[error("`[{0}]` is neither an index, a slice, a key in single quotes nor a filter")]
    InvalidIndex(String),
    #[error("`{0}` is no comparison of a filter: there are ==, !=, <, <=, > and >=")]
    UnknownOperator(String),
    #[error("a quoted text has no closing quote")]
    UnclosedQuote,
    #[error("`{0}` cannot be unquoted")]
    InvalidQuote(String),
    #[error("`{0}` is no number")]
    InvalidNumber(String),
    #[error("`..` stands twice in a row")]
    DescendTwice,
    #[error("{{end}} stands where no {{range}} is open")]
    EndWithoutRange,
    #[error("a {{range}} has no {{end}}")]
    RangeWithoutEnd,
    #[error("`{0}` is not a path such as .metadata.name")]
    NoPath(String),
}

/// What stands between a pair of braces.
enum Action {
    Steps(Vec<Step>),
    Range(Vec<Step>),
    End,
}

pub(super) fn template(text: &str) -> Result<Vec<Part>, ParseError> {
    let mut open: Vec<(Vec<Step>, Vec<Part>)> = Vec::new();
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        if brace > 0 {
            parts.push(Part::Text(Value::from(&rest[..brace])));
        }
        let mut scanner = Scanner { rest: &rest[brace + 1..] };
        match scanner.action()? {
            Action::Steps(steps) => parts.push(Part::Action(steps)),
            Action::Range(over) => open.push((over, std::mem::take(&mut parts))),
            Action::End => {
                let (over, before) = open.pop().ok_or(ParseError::EndWithoutRange)?;
                let body = std::mem::replace(&mut parts, before);
                parts.push(Part::Range { over, body });
            }
        }
        rest = scanner.rest;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(Value::from(rest)));
    }
    if open.is_empty() { Ok(parts) } else { Err(ParseError::RangeWithoutEnd) }
}

/// Braces and the first dot may be left out.
pub(super) fn path(text: &str) -> Result<Vec<Step>, ParseError> {
    let no_path = || ParseError::NoPath(text.to_owned());
    let inner = match text.strip_prefix('{') {
        Some(braced) => braced.strip_suffix('}').ok_or_else(no_path)?,
        None => text,
    };
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    if inner.is_empty() || inner.contains(['{', '}']) {
        return Err(no_path());
    }
    steps(&format!(".{inner}"))
}

/// Steps that stand alone: a side of a comparison, a member of a union.
fn steps(text: &str) -> Result<Vec<Step>, ParseError> {
    let braced = format!("{text}}}");
    let mut scanner = Scanner { rest: &braced };
    match scanner.action()? {
        Action::Steps(steps) => Ok(steps),
        Action::Range(_) => Err(ParseError::UnknownWord("range".to_owned())),
        Action::End => Err(ParseError::UnknownWord("end".to_owned())),
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Up to and with the closing brace.
    fn action(&mut self) -> Result<Action, ParseError> {
        let mut steps = Vec::new();
        let mut word = None;
        loop {
            let Some(c) = self.rest.chars().next() else { return Err(ParseError::UnclosedAction) };
            match c {
                '}' => {
                    self.skip(1);
                    break;
                }
                '\n' | '\r' => return Err(ParseError::UnclosedAction),
                ' ' | '@' | '$' => self.skip(1),
                '[' if self.rest.starts_with("[?(") => steps.push(self.filter()?),
                '[' => self.array(&mut steps)?,
                '"' | '\'' => steps.push(Step::Literal(Value::String(self.quoted(c)?))),
                '.' if self.rest.starts_with("..") => {
                    if steps.last() == Some(&Step::Descend) {
                        return Err(ParseError::DescendTwice);
                    }
                    self.skip(2);
                    steps.push(Step::Descend);
                    if self.rest.starts_with(is_name) {
                        steps.push(self.field());
                    }
                }
                '.' => {
                    self.skip(1);
                    steps.push(self.field());
                }
                '+' | '-' | '0'..='9' => steps.push(Step::Literal(self.number()?)),
                c if is_name(c) => match self.until_terminator() {
                    "true" => steps.push(Step::Literal(Value::Bool(true))),
                    "false" => steps.push(Step::Literal(Value::Bool(false))),
                    found @ ("range" | "end") if steps.is_empty() && word.is_none() => word = Some(found),
                    other => return Err(ParseError::UnknownWord(other.to_owned())),
                },
                other => return Err(ParseError::UnexpectedCharacter(other)),
            }
        }
        Ok(match word {
            Some("range") => Action::Range(steps),
            Some(_) => Action::End,
            None => Action::Steps(steps),
        })
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn until_terminator(&mut self) -> &'a str {
        self.take(self.rest.find(is_terminator).unwrap_or(self.rest.len()))
    }

    /// After the dot; a backslash takes its meaning from what ends a field.
    fn field(&mut self) -> Step {
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                name.extend(chars.next().map(|(_, escaped)| escaped));
            } else if is_terminator(c) {
                end = at;
                break;
            } else {
                name.push(c);
            }
        }
        let written = self.take(end);
        if written == "*" { Step::Wildcard } else { Step::Field(name) }
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let signs = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest[signs..].find(|c: char| c != '.' && !c.is_ascii_digit());
        let text = self.take(digits.map_or(self.rest.len(), |digits| signs + digits));
        let wrong = || ParseError::InvalidNumber(text.to_owned());
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Value::from(whole));
        }
        text.parse::<f64>().map(Value::from).map_err(|_| wrong())
    }

    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '\n' || (*c == quote && !escaped);
            escaped = *c == '\\' && !escaped;
            ends
        });
        match end {
            Some((at, c)) if c == quote => {
                let written = self.take(at + 1);
                unquote(&written[1..at]).ok_or_else(|| ParseError::InvalidQuote(written.to_owned()))
            }
            Some(_) | None => Err(ParseError::UnclosedQuote),
        }
    }

    fn array(&mut self, steps: &mut Vec<Step>) -> Result<(), ParseError> {
        let end = self.rest.find([']', '\n']).filter(|end| self.rest[*end..].starts_with(']'));
        let end = end.ok_or(ParseError::UnclosedArray)?;
        let text = &self.take(end + 1)[1..end];
        if text.contains(',') {
            let members =
                text.split(',').map(|member| self::steps(&format!("[{}]", member.trim_matches(' '))));
            steps.push(Step::Union(members.collect::<Result<_, _>>()?));
        } else if let Some(key) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            steps.append(&mut self::steps(&format!(".{key}"))?);
        } else if text == "*" {
            steps.push(Step::Slice(Slice { start: None, end: End::Open, step: None }));
        } else {
            steps.push(slice(text).ok_or_else(|| ParseError::InvalidIndex(text.to_owned()))?);
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<Step, ParseError> {
        self.skip("[?(".len());
        let mut quote = None;
        let mut before = '\0';
        let close = self.rest.char_indices().find(|(_, c)| {
            match (quote, *c) {
                (None, '"' | '\'') => quote = Some(*c),
                (Some(open), c) if c == open && before != '\\' => quote = None,
                (None, ')' | '\n') => return true,
                (Some(_) | None, _) => {}
            }
            before = *c;
            false
        });
        let close = close.map(|(at, _)| at).filter(|at| self.rest[*at..].starts_with(")]"));
        let text = self.take(close.ok_or(ParseError::UnclosedFilter)?);
        self.skip(")]".len());
        let compares = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let Some(start) = text.find(compares).filter(|start| *start > 0) else {
            return Ok(Step::Filter(Box::new(Filter { left: steps(text)?, test: Test::Exists })));
        };
        let length = text[start..].find(|c| !compares(c)).unwrap_or(text.len() - start);
        let (word, right) = text[start..].split_at(length);
        let operator = match word {
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            other => return Err(ParseError::UnknownOperator(other.to_owned())),
        };
        let test = Test::Compare(operator, steps(right)?);
        Ok(Step::Filter(Box::new(Filter { left: steps(&text[..start])?, test })))
    }
}

/// `1`, `-1`, `1:3`, `:2`, `::2` and the like.
fn slice(text: &str) -> Option<Step> {
    let mut parts = text.split(':');
    let number = |part: &str| match part {
        "" => Some(None),
        part => part.parse().ok().map(Some),
    };
    let start = number(parts.next()?)?;
    let end = match parts.next() {
        None => End::AfterStart,
        Some(end) => number(end)?.map_or(End::Open, End::At),
    };
    let step = match parts.next() {
        None => None,
        Some(step) => number(step)?,
    };
    parts.next().is_none().then_some(Step::Slice(Slice { start, end, step }))
}

/// Go's escapes.
fn unquote(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let escape = chars.next()?;
        let mut code = |digits: usize| {
            let text: String = chars.by_ref().take(digits).collect();
            let number = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == digits)?;
            char::from_u32(number)
        };
        plain.push(match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '"' | '\'' => escape,
            'x' => code(2)?,
            'u' => code(4)?,
            'U' => code(8)?,
            _ => return None,
        });
    }
    Some(plain)
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}
