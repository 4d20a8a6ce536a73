//! The path of a field: `image.tag`, `containers[name=app].image`, `images[0]`, `["a.b"].c`.

use std::fmt;

/// The path of a field in a YAML, JSON, TOML or HCL document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    steps: Vec<Step>,
    text: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value of a key.
    Key(String),
    /// The item of a list, from 0.
    Index(usize),
    /// The item of a list in which a key has this value.
    Filter { key: String, value: String },
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no path: {problem}; write image.tag, containers[name=app].image or [\"a.b\"].tag")]
pub struct InvalidFieldPath {
    text: String,
    problem: &'static str,
}

impl FieldPath {
    /// The most steps of a path.
    const MOST: usize = 32;

    /// Reads a path.
    ///
    /// # Errors
    /// `InvalidFieldPath` says what breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidFieldPath> {
        let steps = steps(text).map_err(|problem| InvalidFieldPath { text: text.to_owned(), problem })?;
        Ok(Self { steps, text: text.to_owned() })
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn steps(text: &str) -> Result<Vec<Step>, &'static str> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if steps.len() == FieldPath::MOST {
            return Err("it has more than 32 steps");
        }
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (step, behind) = bracket(bracketed)?;
            steps.push(step);
            rest = behind;
        } else {
            let key =
                if steps.is_empty() { rest } else { rest.strip_prefix('.').ok_or("a dot is missing")? };
            let (key, behind) = key.split_at(key.find(['.', '[', ']']).unwrap_or(key.len()));
            if key.is_empty() {
                return Err("a key is missing");
            }
            steps.push(Step::Key(key.to_owned()));
            rest = behind;
        }
    }
    if steps.is_empty() { Err("it is empty") } else { Ok(steps) }
}

/// What stands between `[` and `]`, and what follows.
fn bracket(text: &str) -> Result<(Step, &str), &'static str> {
    const OPEN: &str = "a bracket is not closed";
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, behind) = quoted.split_once('"').ok_or("a quote is not closed")?;
        let behind = behind.strip_prefix(']').ok_or(OPEN)?;
        return Ok((Step::Key(key.to_owned()), behind));
    }
    let (inside, behind) = text.split_once(']').ok_or(OPEN)?;
    let step = match inside.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Step::Filter { key: key.to_owned(), value: value.trim_matches('"').to_owned() }
        }
        Some(_) => return Err("a filter reads [key=value]"),
        None => {
            Step::Index(inside.parse().map_err(|_| "in brackets stands a number, a filter or a quoted key")?)
        }
    };
    Ok((step, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Step {
        Step::Key(text.to_owned())
    }

    #[test]
    fn reads_keys_numbers_and_filters() {
        let filter = Step::Filter { key: "name".to_owned(), value: "app".to_owned() };
        for (text, steps) in [
            ("tag", vec![key("tag")]),
            ("image.tag", vec![key("image"), key("tag")]),
            ("a-b.c_d", vec![key("a-b"), key("c_d")]),
            ("containers[name=app].image", vec![key("containers"), filter.clone(), key("image")]),
            ("containers[name=\"app\"]", vec![key("containers"), filter]),
            ("a[0][12].b", vec![key("a"), Step::Index(0), Step::Index(12), key("b")]),
            ("[\"a.b/c]\"].d", vec![key("a.b/c]"), key("d")]),
            ("a[\"b.c\"]", vec![key("a"), key("b.c")]),
        ] {
            assert_eq!(FieldPath::parse(text).unwrap().steps(), steps, "{text}");
        }
    }

    #[test]
    fn says_what_breaks_the_grammar() {
        for (text, problem) in [
            ("", "empty"),
            (".a", "key is missing"),
            ("a..b", "key is missing"),
            ("a.", "key is missing"),
            ("a[", "not closed"),
            ("a[\"b", "quote"),
            ("a[0]b", "dot"),
            ("a[b]", "in brackets"),
            ("a[=x]", "[key=value]"),
            ("a]b", "dot"),
            (&"a.".repeat(40), "32"),
        ] {
            let error = FieldPath::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
