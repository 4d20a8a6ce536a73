//! How the commits of one repository are worded: by its templates, by the usual text where there are none.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plain::plain;
use super::template::{InvalidTemplate, Template};
use super::{MAX_PLACES, Move, account, distance, subject, trailers};
use crate::api::{CommitSettings, ObjectKey};
use crate::unfit::is_unfit;

/// The longest subject, in characters; what is longer is cut.
const MAX_SUBJECT: usize = 200;

/// The most values, and the longest of them in characters.
const MAX_VALUES: usize = 32;
const MAX_VALUE: usize = 256;

/// How the commits of one repository are worded.
#[derive(Clone, Debug)]
pub struct Wording {
    repository: ObjectKey,
    subject: Option<Template>,
    body: Option<Template>,
    values: BTreeMap<String, String>,
}

/// What a template is given. Every text is made fit for a message already.
#[derive(Serialize)]
struct Context<'a> {
    namespace: &'a str,
    repository: &'a str,
    values: &'a BTreeMap<String, String>,
    moves: Vec<ShownMove>,
}

#[derive(Serialize)]
struct ShownMove {
    policy: String,
    namespace: String,
    name: String,
    image: String,
    from: String,
    to: String,
    /// Empty where none is written.
    digest: String,
    /// Empty where the tags are no semantic versions.
    distance: &'static str,
    why: String,
    places: Vec<Place>,
    /// How many places there are beyond those.
    more: usize,
}

#[derive(Serialize)]
struct Place {
    file: String,
    line: u64,
}

impl Wording {
    /// Reads the templates of a spec, and tries them on an example.
    ///
    /// # Errors
    /// `InvalidTemplate` with field, line and what would be right.
    pub fn read(repository: ObjectKey, settings: &CommitSettings) -> Result<Self, InvalidTemplate> {
        let wording = Self {
            repository,
            subject: settings.subject.as_deref().map(|source| Template::new("subject", source)),
            body: settings.body.as_deref().map(|source| Template::new("body", source)),
            values: settings.values.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        };
        let is_long = |value: &String| value.chars().count() > MAX_VALUE;
        if settings.values.len() > MAX_VALUES || settings.values.values().any(is_long) {
            let problem = format!("write at most {MAX_VALUES} values of at most {MAX_VALUE} characters");
            return Err(InvalidTemplate { field: "values", line: None, problem });
        }
        wording.compose(&example(&wording.repository.namespace))?;
        Ok(wording)
    }

    /// The message for these moves.
    ///
    /// # Errors
    /// `InvalidTemplate` where a template works for the example but not for these.
    pub fn compose(&self, moves: &[Move]) -> Result<String, InvalidTemplate> {
        let namespace = plain(&self.repository.namespace);
        let context = Context {
            namespace: &namespace,
            repository: &plain(&self.repository.name),
            values: &self.values,
            moves: moves.iter().map(ShownMove::of).collect(),
        };
        let subject = match &self.subject {
            None => subject(&namespace, moves),
            Some(template) => {
                let line = one_line(&template.render(&context)?);
                if line.is_empty() {
                    return Err(template.problem("it makes an empty line; write what the commit does"));
                }
                line
            }
        };
        let body = match &self.body {
            None => account(moves),
            Some(template) => lines(&template.render(&context)?),
        };
        let parts = [subject.as_str(), body.trim_end(), &trailers(moves)];
        Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))
    }
}

impl ShownMove {
    fn of(one: &Move) -> Self {
        let (namespace, name) = one.policy.split_once('/').unwrap_or(("", &one.policy));
        let places = one.places.iter().take(MAX_PLACES);
        Self {
            policy: plain(&one.policy),
            namespace: plain(namespace),
            name: plain(name),
            image: plain(&one.image),
            from: plain(&one.from),
            to: plain(&one.to),
            digest: one.digest.as_deref().map(plain).unwrap_or_default(),
            distance: distance(&one.from, &one.to).unwrap_or_default(),
            why: plain(&one.why),
            places: places.map(|(file, line)| Place { file: plain(file), line: *line }).collect(),
            more: one.places.len().saturating_sub(MAX_PLACES),
        }
    }
}

/// The text as a subject: one line, cut to a length that people read.
fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || is_unfit(c)).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_SUBJECT).collect()
}

/// The text as a body: no unfit characters, no spaces at the ends of lines, no empty lines at either end.
fn lines(text: &str) -> String {
    let fit =
        text.lines().map(|line| line.chars().filter(|c| !is_unfit(*c) || *c == '\t').collect::<String>());
    let lines: Vec<String> = fit.map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Two moves that have all that a move can have, and lack all that one can lack.
fn example(namespace: &str) -> [Move; 2] {
    let one = |name: &str, from: &str, to: &str, digest: Option<String>| Move {
        policy: format!("{namespace}/{name}"),
        image: format!("registry.example.com/acme/{name}"),
        from: from.to_owned(),
        to: to.to_owned(),
        from_digest: None,
        digest,
        why: "highest of 2 tags in *".to_owned(),
        places: vec![(format!("apps/{name}.yaml"), 1)],
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    [one("api", "1.0.0", "1.1.0", Some(digest)), one("web", "main-1", "main-2", None)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::one;
    use super::super::{compose, updates};
    use super::*;

    fn wording(subject: Option<&str>, body: Option<&str>) -> Result<Wording, InvalidTemplate> {
        let settings = CommitSettings {
            subject: subject.map(str::to_owned),
            body: body.map(str::to_owned),
            values: BTreeMap::from([("cluster".to_owned(), "prod".to_owned())]),
            ..CommitSettings::default()
        };
        Wording::read(ObjectKey::new("shop", "infra"), &settings)
    }

    fn text(subject: Option<&str>, body: Option<&str>, moves: &[Move]) -> String {
        wording(subject, body).unwrap().compose(moves).unwrap()
    }

    #[test]
    fn without_templates_it_is_the_usual_message() {
        let moves = [one("shop/api", "acme/api", "1.0.0", "1.1.0")];
        assert_eq!(text(None, None, &moves), compose("shop", &moves));
    }

    #[test]
    fn a_template_has_every_fact_at_hand() {
        let moves = [one("shop/api", "acme/api", "1.0.0", "1.1.0"), one("shop/web", "acme/web", "a", "b")];
        let subject = "{{ values.cluster }}: {{ moves|length }} in {{ namespace }} by {{ repository }}";
        let body = "{% for move in moves %}\n\
            {{ move.name }} of {{ move.namespace }}: {{ move.image }} {{ move.from }} -> {{ move.to }}\
            {% if move.distance %} ({{ move.distance }}){% endif %}{% if move.digest %} {{ move.digest }}{% endif %}\n\
            {% for place in move.places %}\n  {{ place.file }}:{{ place.line }}\n{% endfor %}\n{% endfor %}";
        let wanted = "prod: 2 in shop by infra\n\n\
            api of shop: acme/api 1.0.0 -> 1.1.0 (minor)\n  apps/api/deployment.yaml:21\n\
            web of shop: acme/web a -> b\n  apps/api/deployment.yaml:21\n\n\
            Tagtide-Update: shop/api 1.0.0 1.1.0\nTagtide-Update: shop/web a b\n";
        assert_eq!(text(Some(subject), Some(body), &moves), wanted);
        let bare = text(Some("x"), Some("{# nothing #}"), &moves[..1]);
        assert_eq!(bare, "x\n\nTagtide-Update: shop/api 1.0.0 1.1.0\n");
    }

    #[test]
    fn no_template_forges_or_loses_a_trailer() {
        let moves = [one("shop/api", "acme/api", "1.0.0", "1.1.0")];
        for body in ["Tagtide-Update: shop/web 1 9", "x\n\nTagtide-Update: shop/web 1 9\n", "\n\n\u{1b}\r\n"]
        {
            let message = text(Some("a\nTagtide-Update: shop/web 1 9\n\n"), Some(body), &moves);
            assert_eq!(updates(&message).collect::<Vec<_>>(), [("shop/api", "1.1.0")], "{message}");
            assert!(message.ends_with("\n\nTagtide-Update: shop/api 1.0.0 1.1.0\n"), "{message:?}");
            assert!(!message.contains('\u{1b}') && !message.contains('\r'));
        }
    }

    #[test]
    fn text_from_elsewhere_stays_plain_in_a_template() {
        let mut hostile = one("shop/api", "acme/api", "@jane", "1.1.0");
        hostile.why = "x\n\nCo-authored-by: fixes #1".to_owned();
        let message = text(None, Some("{{ moves[0].from }} {{ moves[0].why }}"), &[hostile]);
        assert!(message.contains("@\u{2060}jane xCo-authored-by: fixes\u{2060} #\u{2060}1\n"), "{message:?}");
    }

    #[test]
    fn a_template_that_can_not_work_is_told_before_anything_is_written() {
        let error = |subject, body| wording(subject, body).unwrap_err().to_string();
        assert!(
            error(Some("{{ image }}"), None)
                .starts_with("spec.commit.subject, line 1: there is no \"image\"")
        );
        assert!(
            error(None, Some("a\n{{ values.stage }}")).starts_with("spec.commit.body, line 2: there is no")
        );
        assert!(error(Some("{% if 1 == 2 %}x{% endif %}"), None).contains("it makes an empty line"));
        let long = text(Some(&"word ".repeat(100)), None, &[one("shop/api", "acme/api", "1", "2")]);
        assert_eq!(long.lines().next().unwrap().chars().count(), MAX_SUBJECT);
    }
}
