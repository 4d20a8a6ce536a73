//! The strings of an HCL document, as Terraform and others write it.

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::parser::parse_body;
use hcl_edit::structure::{BlockLabel, Body, Structure};

use super::walk::Walk;
use super::{Leaf, Step, Unreadable};
use crate::edit::Style;

pub(super) fn leaves(text: &str) -> Result<Vec<Leaf>, Unreadable> {
    let mut walk = Walk::of(text);
    let body = parse_body(walk.text())
        .map_err(|error| walk.unreadable(error.location().offset(), error.message()))?;
    walk_body(&mut walk, &body);
    Ok(walk.into_leaves())
}

fn walk_body(walk: &mut Walk<'_>, body: &Body) {
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                walk.within([key(&attribute.key)], |walk| walk_expression(walk, &attribute.value));
            }
            // The labels of a block are steps of their own.
            Structure::Block(block) => {
                let labels = block.labels.iter().map(|label| match label {
                    BlockLabel::Ident(ident) => key(ident),
                    BlockLabel::String(string) => key(string),
                });
                walk.within(std::iter::once(key(&block.ident)).chain(labels), |walk| {
                    walk_body(walk, &block.body);
                });
            }
        }
    }
}

fn key(key: &str) -> Step {
    Step::Key(key.to_owned())
}

/// What is computed has no leaves: only lists, objects and strings do that stand there as they are.
fn walk_expression(walk: &mut Walk<'_>, expression: &Expression) {
    match expression {
        Expression::String(string) => take(walk, expression, string.as_str()),
        Expression::StringTemplate(_) => {
            let written = expression.span().and_then(|span| walk.text().get(span)).unwrap_or_default();
            take(walk, expression, written.trim_matches('"'));
        }
        Expression::Array(array) => walk.each(array.iter(), walk_expression),
        Expression::Object(object) => {
            for (name, value) in object.iter() {
                let name = match name {
                    ObjectKey::Ident(ident) => ident.as_str(),
                    ObjectKey::Expression(Expression::String(string)) => string.as_str(),
                    ObjectKey::Expression(_) => continue,
                };
                walk.within([key(name)], |walk| walk_expression(walk, value.expr()));
            }
        }
        Expression::HeredocTemplate(_) => take_heredoc(walk, expression),
        Expression::Parenthesis(inner) => walk_expression(walk, inner.inner()),
        // As in `jsonencode({image = "…"})`.
        Expression::FuncCall(call) => walk.each(call.args.iter(), walk_expression),
        Expression::Conditional(_)
        | Expression::ForExpr(_)
        | Expression::Null(_)
        | Expression::Bool(_)
        | Expression::Number(_)
        | Expression::Variable(_)
        | Expression::Traversal(_)
        | Expression::UnaryOp(_)
        | Expression::BinaryOp(_) => {}
    }
}

/// No version, but something that may look like a comment.
fn take_heredoc(walk: &mut Walk<'_>, expression: &Expression) {
    if let Some(span) = expression.span()
        && let Some(written) = walk.text().get(span.clone())
    {
        walk.take(written, span, Style::Plain);
    }
}

fn take(walk: &mut Walk<'_>, expression: &Expression, value: &str) {
    if let Some(span) = expression.span()
        && let Some(written) = walk.text().get(span.clone())
        && written.len() >= 2
        && written.starts_with('"')
        && written.ends_with('"')
    {
        walk.take(value, span, Style::DoubleQuoted);
    }
}
