//! The strings of an HCL document, as Terraform and others write it.

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::parser::parse_body;
use hcl_edit::structure::{BlockLabel, Body, Structure};

use super::{Leaf, Step, Unreadable};
use crate::edit::Style;

pub(super) fn leaves(text: &str) -> Result<Vec<Leaf>, Unreadable> {
    let bare = text.trim_start_matches('\u{feff}');
    let offset = text.len() - bare.len();
    let body = parse_body(bare).map_err(|error| Unreadable {
        at: offset + error.location().offset(),
        problem: error.message().to_owned(),
    })?;
    let mut walk = Walk { text: bare, offset, leaves: Vec::new(), path: Vec::new() };
    walk.body(&body);
    walk.leaves.sort_by_key(|leaf| leaf.span.start);
    Ok(walk.leaves)
}

struct Walk<'a> {
    text: &'a str,
    offset: usize,
    leaves: Vec<Leaf>,
    path: Vec<Step>,
}

impl Walk<'_> {
    fn body(&mut self, body: &Body) {
        for structure in body {
            let depth = self.path.len();
            match structure {
                Structure::Attribute(attribute) => {
                    self.path.push(Step::Key(attribute.key.as_str().to_owned()));
                    self.expression(&attribute.value);
                }
                Structure::Block(block) => {
                    self.path.push(Step::Key(block.ident.as_str().to_owned()));
                    let labels = block.labels.iter().map(|label| match label {
                        BlockLabel::Ident(ident) => ident.as_str(),
                        BlockLabel::String(string) => string.as_str(),
                    });
                    self.path.extend(labels.map(|label| Step::Key(label.to_owned())));
                    self.body(&block.body);
                }
            }
            self.path.truncate(depth);
        }
    }

    /// What is computed has no leaves: only lists, objects and strings do that stand there as they are.
    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::String(string) => self.leaves.extend(self.leaf(expression, string.as_str())),
            Expression::StringTemplate(_) => {
                let written = expression.span().and_then(|span| self.text.get(span)).unwrap_or_default();
                let value = written.trim_matches('"').to_owned();
                self.leaves.extend(self.leaf(expression, &value));
            }
            Expression::Array(array) => {
                for (index, item) in array.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.expression(item);
                    self.path.pop();
                }
            }
            Expression::Object(object) => {
                for (key, value) in object.iter() {
                    let key = match key {
                        ObjectKey::Ident(ident) => ident.as_str(),
                        ObjectKey::Expression(Expression::String(string)) => string.as_str(),
                        ObjectKey::Expression(_) => continue,
                    };
                    self.path.push(Step::Key(key.to_owned()));
                    self.expression(value.expr());
                    self.path.pop();
                }
            }
            Expression::HeredocTemplate(_) => self.leaves.extend(self.heredoc(expression)),
            Expression::Parenthesis(inner) => self.expression(inner.inner()),
            // As in `jsonencode({image = "…"})`.
            Expression::FuncCall(call) => {
                for (index, argument) in call.args.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.expression(argument);
                    self.path.pop();
                }
            }
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
    fn heredoc(&self, expression: &Expression) -> Option<Leaf> {
        let span = expression.span()?;
        let value = self.text.get(span.clone())?.to_owned();
        let span = span.start + self.offset..span.end + self.offset;
        Some(Leaf { path: self.path.clone(), value, span, style: Style::Plain })
    }

    fn leaf(&self, expression: &Expression, value: &str) -> Option<Leaf> {
        let span = expression.span()?;
        let written = self.text.get(span.clone())?;
        (written.len() >= 2 && written.starts_with('"') && written.ends_with('"')).then(|| Leaf {
            path: self.path.clone(),
            value: value.to_owned(),
            span: span.start + self.offset..span.end + self.offset,
            style: Style::DoubleQuoted,
        })
    }
}
