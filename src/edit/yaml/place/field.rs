//! The field that a rule of `spec.updates.fields` names.

use super::{Group, Place, Places, is_rendered_later};
use crate::edit::field_path::Step;
use crate::edit::targets::FieldRule;
use crate::edit::yaml::tree::View;
use crate::edit::{Obstacle, Owner, ProblemReason};

/// Finds the field in a document. Returns where in it each value begins that the rule names.
pub(super) fn find<'t, 'a>(
    rule: &FieldRule,
    document: View<'t, 'a>,
    places: &mut Places<'t, 'a>,
) -> Vec<usize> {
    let mut views = vec![document];
    for step in rule.path.steps() {
        views = views.into_iter().flat_map(|view| follow(view, step)).collect();
    }
    let is_one = views.len() == 1;
    let scalars: Vec<_> = views.into_iter().filter_map(View::scalar).collect();
    for scalar in &scalars {
        let obstacle = |reason, message: String| Some(Obstacle { reason, message });
        let obstacle = if !is_one {
            let message = format!("{} names several fields; write it so that it names one", rule.path);
            obstacle(ProblemReason::Ambiguous, message)
        } else if scalar.text().is_some_and(is_rendered_later) {
            let message = format!("{} is a template; name a field that is written out", rule.path);
            obstacle(ProblemReason::NoValue, message)
        } else {
            None
        };
        let owner = Owner::Rule(rule.policy.clone());
        let place = Place { scalar, owner, part: rule.part, adds: None, obstacle };
        places.groups.push(Group { places: vec![place], seen: vec![scalar] });
    }
    scalars.into_iter().map(|scalar| scalar.span.start).collect()
}

fn follow<'t, 'a>(view: View<'t, 'a>, step: &Step) -> Vec<View<'t, 'a>> {
    match step {
        Step::Key(key) => view.get(key).into_iter().collect(),
        Step::Index(index) => view.items().nth(*index).into_iter().collect(),
        Step::Filter { key, value } => view.items().filter(|item| item.text_of(key) == Some(value)).collect(),
    }
}
