//! `spec.commit.subject` and `spec.commit.body`: Jinja templates that can neither run long nor grow large.

use std::sync::Arc;

use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

use super::grammar;

/// The filters that there are.
const FILTERS: &str = "length, first, last, upper, lower and truncate(characters)";

/// What a rendering may cost. Each step costs one, and so do 64 bytes of any text or list that is made on the way
/// (minijinja, "fuel"): the cap on work is one on memory too.
const FUEL: u64 = 500_000;

/// What a template may name.
const NAMES: &str = "namespace, repository, values and moves, each with policy, namespace, name, image, from, to, digest, \
                     distance, why, places and more";

/// A template of a spec.
#[derive(Clone, Debug)]
pub(super) struct Template {
    field: &'static str,
    source: Arc<str>,
}

/// A template that can not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.commit.{field}{}: {problem}", .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct InvalidTemplate {
    /// The field below `spec.commit`.
    pub field: &'static str,
    /// The line in it, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Template {
    pub(super) fn new(field: &'static str, source: &str) -> Self {
        Self { field, source: without_empty_lines(source).into() }
    }

    /// The text that the template makes of `context`.
    ///
    /// # Errors
    /// A mistake in the template, a name that is not there, or more work than a message is worth.
    pub(super) fn render(&self, context: &impl Serialize) -> Result<String, InvalidTemplate> {
        let at = |(line, problem)| InvalidTemplate { field: self.field, line: Some(line), problem };
        grammar::check(&self.source).map_err(at)?;
        let mut environment = Environment::empty();
        add_filters(&mut environment);
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Undefined
            | ValueKind::None
            | ValueKind::Bool
            | ValueKind::Number
            | ValueKind::String => escape_formatter(out, state, value),
            _ => Err(unfit("a list can not be printed as a whole; loop over it")),
        });
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let template = environment.template_from_named_str(self.field, &self.source);
        let text = template.and_then(|template| template.render(Value::from(Serde(context))));
        text.map_err(|error| self.invalid(&error))
    }

    pub(super) fn problem(&self, problem: &str) -> InvalidTemplate {
        InvalidTemplate { field: self.field, line: None, problem: problem.to_owned() }
    }

    fn invalid(&self, error: &Error) -> InvalidTemplate {
        let place = error.range().and_then(|range| self.source.get(range)).unwrap_or_default();
        let place: String = place.chars().filter(|c| !crate::unfit::is_unfit(*c)).take(60).collect();
        let said = error.detail().unwrap_or("it can not be read");
        let problem = match error.kind() {
            ErrorKind::UndefinedError => format!("there is no {place:?}; write one of {NAMES}"),
            ErrorKind::OutOfFuel => "it takes too much work or room; a message is a page at most".to_owned(),
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
                format!("{said}; the filters are {FILTERS}")
            }
            ErrorKind::SyntaxError => {
                format!("{said}; write a Jinja template, such as {{{{ moves|length }}}} images")
            }
            _ => format!("{said} at {place:?}"),
        };
        InvalidTemplate { field: self.field, line: error.line(), problem }
    }
}

/// The template, changed so that a line with nothing but a tag leaves no line behind: its line break goes into the tag,
/// where it means nothing and still counts.
fn without_empty_lines(source: &str) -> String {
    let mut changed = String::with_capacity(source.len());
    for line in source.split_inclusive('\n') {
        let tag = line.strip_suffix('\n').map(str::trim);
        let inside = tag.and_then(|tag| tag.strip_prefix("{%")?.strip_suffix("%}"));
        match inside.filter(|inside| !inside.contains("%}") && !inside.ends_with(['-', '+'])) {
            Some(inside) => changed.extend(["{%", inside, "\n%}"]),
            None => changed.push_str(line),
        }
    }
    changed
}

fn add_filters(environment: &mut Environment<'_>) {
    environment.add_filter("length", |value: &Value| {
        let length = value.as_str().map_or_else(|| value.len(), |text| Some(text.chars().count()));
        length.ok_or_else(|| unfit("length is that of a list or a text"))
    });
    environment.add_filter("first", |value: &Value| end_of(value, |_| Some(0)));
    environment.add_filter("last", |value: &Value| end_of(value, |length| length.checked_sub(1)));
    environment.add_filter("upper", |value: &Value| text_of(value).map(str::to_uppercase));
    environment.add_filter("lower", |value: &Value| text_of(value).map(str::to_lowercase));
    environment.add_filter("truncate", |value: &Value, characters: usize| {
        text_of(value).map(|text| text.chars().take(characters).collect::<String>())
    });
}

fn end_of(value: &Value, index: fn(usize) -> Option<usize>) -> Result<Value, Error> {
    let index = value
        .len()
        .and_then(index)
        .ok_or_else(|| unfit("first and last are those of a list with elements"))?;
    value.get_item(&Value::from(index))
}

fn text_of(value: &Value) -> Result<&str, Error> {
    value.as_str().ok_or_else(|| unfit("the filter is for texts"))
}

fn unfit(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let context = serde_json::json!({ "namespace": "shop", "list": ["ä", "b"] });
        Template::new("body", source).render(&context).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_would_be_right() {
        for (source, wanted) in [
            (
                "a\n{{ namespce }}",
                "spec.commit.body, line 2: there is no \"namespce\"; write one of namespace,",
            ),
            ("{% if namespace %}", "spec.commit.body, line 1: "),
            (
                "{{ namespace|shout }}",
                "spec.commit.body, line 1: filter shout is unknown; the filters are length,",
            ),
            ("{% include '/etc/passwd' %}", "spec.commit.body, line 1: the tag \"include\" is not used here"),
            ("{% macro x() %}{% endmacro %}", "spec.commit.body, line 1: the tag \"macro\" is not used here"),
            ("{{ env('HOME') }}", "spec.commit.body, line 1: "),
            ("{{ now() }}", "spec.commit.body, line 1: "),
            ("{{ list }}", "spec.commit.body, line 1: a list can not be printed as a whole"),
            ("{{ list|upper }}", "spec.commit.body, line 1: the filter is for texts"),
        ] {
            let error = render(source).unwrap_err();
            assert!(error.starts_with(wanted), "{source}: {error}");
        }
    }

    #[test]
    fn a_line_with_nothing_but_a_tag_leaves_no_line_behind() {
        let source =
            "{% for a in list %}\n- {{ a }}{% if a == 'b' %}!{% endif %}\n\n  {% endfor %}\n{{ nothing }}";
        let error = render(source).unwrap_err();
        assert!(error.starts_with("spec.commit.body, line 5: "), "{error}");
        assert_eq!(render(&source.replace("{{ nothing }}", ".")).unwrap(), "- ä\n\n- b!\n\n.");
    }

    #[test]
    fn the_filters_do_what_they_say() {
        let source = "{{ list|length }} {{ namespace|length }} {{ list|first }} {{ list|last }} {{ namespace|upper|truncate(2) }}";
        assert_eq!(render(source).unwrap(), "2 4 ä b SH");
    }

    #[test]
    fn nothing_that_a_template_says_takes_long_or_much_room() {
        let nested = |open: &str, close: &str, times: usize| open.repeat(times) + "x" + &close.repeat(times);
        for source in [
            nested("{% for a in list %}", "{% endfor %}", 50),
            nested("{% if 1 %}", "{% endif %}", 700),
            format!("{{{{ {} }}}}", nested("f(", ")", 4_000)),
            format!("{{{{ namespace{} }}}}", "|upper".repeat(1_000)),
            format!("{{{{ 1{} }}}}", " == 1".repeat(1_000)),
            format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(1_000)),
        ] {
            let began = std::time::Instant::now();
            let error = render(&source).expect_err(&source);
            assert!(began.elapsed().as_secs() < 20, "{source:.60}: {:?}", began.elapsed());
            assert!(error.starts_with("spec.commit.body"), "{error}");
        }
        // As deep as the grammar lets it go, which fits a thread's stack.
        for source in [
            nested("{% if 1 %}", "{% endif %}", 50),
            format!("{{{{ namespace{} }}}}", "|upper".repeat(31)),
            format!("{{{{ 1{} }}}}", "==1".repeat(60)),
            format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(98)),
            format!("{{% if {}1 %}}x{{% endif %}}", "not ".repeat(45)),
        ] {
            assert!(render(&source).is_ok(), "{source}: {:?}", render(&source));
        }
    }
}
