//! The part of Jinja that templates may use: values, filters, `if` and `for`.
//!
//! minijinja's fuel bounds the steps of a template and the text that it makes, but not what it costs to print or compare a
//! list that holds itself a thousandfold, nor how deep its parser goes. So no template can make a list, or bind a name to
//! anything but an element of one that it was given, and tags are short and few.

/// The tags that there are.
const TAGS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// The most characters of a tag, and the most tags: what stands in one tag nests, and so do conditions and loops.
const MAX_TAG: usize = 200;
const MAX_TAGS: usize = 100;

/// Words that name no value: what stands behind them in brackets would be a list.
const WORDS: [&str; 9] = ["if", "elif", "else", "for", "in", "is", "not", "and", "or"];

/// What is not used, and where the rest of the template begins there.
struct Fault<'a> {
    rest: &'a str,
    problem: String,
}

/// Checks a template.
///
/// # Errors
/// The line of what is not used, and what it is.
pub(super) fn check(source: &str) -> Result<(), (usize, String)> {
    let (mut rest, mut tags) = (source, 0);
    while let Some((_, inside)) = rest.split_once('{') {
        let mut after = inside.chars();
        tags += usize::from(inside.starts_with(['{', '%']));
        let checked = match after.next() {
            // One that does not end is found by the parser.
            Some('#') => Ok(after.as_str().split_once("#}").map_or("", |(_, rest)| rest)),
            Some(_) if tags > MAX_TAGS => {
                Err(Fault { rest: inside, problem: format!("there are more than {MAX_TAGS} tags") })
            }
            Some('{') => tag(after.as_str(), false),
            Some('%') => tag(after.as_str(), true),
            Some(_) | None => Ok(inside),
        };
        rest = checked.map_err(|fault| {
            let before = source.len().saturating_sub(fault.rest.len());
            let line = source.bytes().take(before).filter(|byte| *byte == b'\n').count() + 1;
            (line, fault.problem)
        })?;
    }
    Ok(())
}

/// Checks one tag; what stands behind it.
fn tag(inside: &str, is_statement: bool) -> Result<&str, Fault<'_>> {
    let fault = |rest, problem: &str| Fault { rest, problem: problem.to_owned() };
    if is_statement {
        let name = inside.trim_start_matches(['-', '+']).trim_start();
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !TAGS.contains(&name.as_str()) {
            let problem = format!("the tag {name:.20?} is not used here; there are {}", TAGS.join(", "));
            return Err(Fault { rest: inside, problem });
        }
    }
    let end = if is_statement { "%}" } else { "}}" };
    let (mut word, mut open, mut before) = (String::new(), Vec::new(), None);
    let mut rest = inside;
    loop {
        if let Some(behind) = rest.strip_prefix(end) {
            return Ok(behind);
        }
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return Err(fault(rest, "a tag is not closed")) };
        if inside.len().saturating_sub(rest.len()) > MAX_TAG {
            return Err(Fault { rest, problem: format!("a tag is longer than {MAX_TAG} characters") });
        }
        let behind = chars.as_str();
        let is_value = !word.is_empty() && !WORDS.contains(&word.as_str());
        match c {
            '"' | '\'' => {
                rest = text(behind, c).ok_or_else(|| fault(rest, "a text is not closed"))?;
                word.clear();
                before = Some(c);
                continue;
            }
            '-' | '+' if before.is_none() || behind.starts_with(end) => {}
            '(' if is_value => open.push(c),
            '[' if is_value || matches!(before, Some(')' | ']')) => open.push(c),
            '(' | '[' => return Err(fault(rest, "brackets only stand behind a name; lists can not be made")),
            ')' | ']' => drop(open.pop()),
            ',' if open.last() == Some(&'(') => {}
            ',' => return Err(fault(rest, "lists can not be made")),
            '.' | '|' | '=' | '!' | '<' | '>' | '_' => {}
            c if c.is_ascii_alphanumeric() || c.is_whitespace() => {}
            c => {
                let problem = format!(
                    "{c:?} is not used in a tag; there are names, filters, texts, comparisons and numbers"
                );
                return Err(Fault { rest, problem });
            }
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c)
        } else {
            word.clear()
        }
        if word == "recursive" {
            return Err(fault(rest, "loops that call themselves are not used here"));
        }
        before = Some(c);
        rest = behind;
    }
}

/// What stands behind a text that ends with this quote.
fn text(inside: &str, quote: char) -> Option<&str> {
    let mut chars = inside.chars();
    loop {
        match chars.next()? {
            '\\' => drop(chars.next()?),
            c if c == quote => return Some(chars.as_str()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_filters_conditions_and_loops_are_all_there_is() {
        for good in [
            "plain { text } [x] * ~ (1, 2) {",
            "{{ moves[0].name|upper }} {{- values.cluster -}} {{ moves|length }}",
            "{% for move in moves if move.to != \"a]b}}\\\"\" %}{{ move.why|truncate(9) }}{%- endfor +%}",
            "{% if loop.first and not move.digest == '' %}x{% elif a < 3 %}y{% else %}{% endif %}",
            "{# {% set a = [a, a] %} #}",
            "{{ loop.cycle('a', 'b') }}",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "{% set a = moves %}",
            "{%- with a = moves %}",
            "{% raw %}",
            "{% include 'x' %}",
            "{%%}",
            "{{ [moves, moves] }}",
            "{{ (moves, moves) }}",
            "{{ {'a': moves} }}",
            "{{ moves, moves }}",
            "{% for a in [moves] %}",
            "{% for a in(moves, moves) %}",
            "{% for a in moves, moves %}",
            "{{ moves * 9 }}",
            "{{ moves ~ moves }}",
            "{{ moves + moves }}",
            "{{ moves - 1 }}",
            "{{ 1 % 2 }}",
            "{{ a[moves, moves] }}",
            "{{ f(in[moves, moves]) }}",
            "{% for a in moves recursive %}",
            "{{ 'x",
            "{{ x",
            "{# #}{{ [1] }}",
            "{{{ a }}}",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("a\n\n{{ b\n ~ c }}").unwrap_err().0, 4);
    }
}
