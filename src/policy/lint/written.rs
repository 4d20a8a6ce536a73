//! A regular expression as it is written: its dots that are hardly meant to stand for any character, and its groups.

use std::ops::Range;
use std::slice;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Ast, ClassPerlKind, GroupKind, LiteralKind};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A pattern as it is written.
pub(super) struct Written(Ast);

impl Written {
    /// `None` for a pattern that is none.
    pub(super) fn read(pattern: &str) -> Option<Self> {
        Parser::new().parse(pattern).ok().map(Self)
    }

    /// The bytes of the first dot between two numbers that is not escaped, as in `\d+.\d+`, with both numbers.
    pub(super) fn bare_dot(&self) -> Option<Range<usize>> {
        bare_dot(&self.0)
    }

    /// The bytes of the alternatives, each of which is enough to match; of the whole, where it has none.
    pub(super) fn alternatives(&self) -> Vec<Range<usize>> {
        let mut ast = &self.0;
        while let Ast::Group(group) = ast {
            ast = &group.ast;
        }
        let alternatives = match ast {
            Ast::Alternation(alternation) => alternation.asts.as_slice(),
            _ => slice::from_ref(ast),
        };
        alternatives.iter().map(|ast| ast.span().start.offset..ast.span().end.offset).collect()
    }

    /// Whether it changes how the pattern behind is read, as `(?i)` does.
    pub(super) fn has_flags(&self) -> bool {
        let sets_flags = |ast: &Ast| match ast {
            Ast::Flags(_) => true,
            Ast::Group(group) => {
                matches!(&group.kind, GroupKind::NonCapturing(flags) if !flags.items.is_empty())
            }
            _ => false,
        };
        any(&self.0, &sets_flags)
    }

    /// The bytes of the pattern within a named group.
    pub(super) fn group(&self, name: &str) -> Option<Range<usize>> {
        find_group(&self.0, name).map(|ast| ast.span().start.offset..ast.span().end.offset)
    }
}

/// The parts that a pattern is made of.
fn children(ast: &Ast) -> &[Ast] {
    match ast {
        Ast::Repetition(repetition) => slice::from_ref(&*repetition.ast),
        Ast::Group(group) => slice::from_ref(&*group.ast),
        Ast::Alternation(alternation) => &alternation.asts,
        Ast::Concat(concat) => &concat.asts,
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Literal(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => &[],
    }
}

/// The parser bounds how deep a pattern nests.
fn any(ast: &Ast, is_wanted: &dyn Fn(&Ast) -> bool) -> bool {
    is_wanted(ast) || children(ast).iter().any(|child| any(child, is_wanted))
}

fn find_group<'a>(ast: &'a Ast, name: &str) -> Option<&'a Ast> {
    if let Ast::Group(group) = ast
        && let GroupKind::CaptureName { name: found, .. } = &group.kind
        && found.name == name
    {
        return Some(&group.ast);
    }
    children(ast).iter().find_map(|child| find_group(child, name))
}

fn bare_dot(ast: &Ast) -> Option<Range<usize>> {
    let own = match ast {
        Ast::Concat(concat) => concat.asts.windows(3).find_map(|three| match three {
            [before, Ast::Dot(_), behind]
                if ends_in_digit(before, Side::Last) && ends_in_digit(behind, Side::First) =>
            {
                Some(before.span().start.offset..behind.span().end.offset)
            }
            _ => None,
        }),
        _ => None,
    };
    own.or_else(|| children(ast).iter().find_map(bare_dot))
}

#[derive(Clone, Copy)]
enum Side {
    First,
    Last,
}

/// Whether the first or last character that a part matches is a digit in any case.
fn ends_in_digit(ast: &Ast, side: Side) -> bool {
    match ast {
        Ast::Literal(literal) => literal.c.is_ascii_digit() && literal.kind == LiteralKind::Verbatim,
        Ast::ClassPerl(class) => class.kind == ClassPerlKind::Digit && !class.negated,
        Ast::ClassBracketed(_) => is_digits(ast),
        Ast::Repetition(repetition) => ends_in_digit(&repetition.ast, side),
        Ast::Group(group) => ends_in_digit(&group.ast, side),
        Ast::Alternation(alternation) => alternation.asts.iter().all(|ast| ends_in_digit(ast, side)),
        Ast::Concat(concat) => {
            let end = match side {
                Side::First => concat.asts.first(),
                Side::Last => concat.asts.last(),
            };
            end.is_some_and(|ast| ends_in_digit(ast, side))
        }
        Ast::Empty(_) | Ast::Flags(_) | Ast::Dot(_) | Ast::Assertion(_) | Ast::ClassUnicode(_) => false,
    }
}

/// Whether a class in brackets holds nothing but digits.
fn is_digits(class: &Ast) -> bool {
    let hir = TranslatorBuilder::new().unicode(false).utf8(false).build().translate("", class);
    match hir.map(Hir::into_kind) {
        Ok(HirKind::Class(Class::Bytes(class))) => {
            class.ranges().iter().all(|range| range.start().is_ascii_digit() && range.end().is_ascii_digit())
        }
        Ok(HirKind::Literal(literal)) => literal.0.iter().all(u8::is_ascii_digit),
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_between_numbers_is_bare_unless_it_is_escaped() {
        for (pattern, dot) in [
            ("1.2", "1.2"),
            (r"^v?\d+.\d+\.\d+$", r"\d+.\d+"),
            ("^[0-9]+.[0-9]{2}-", "[0-9]+.[0-9]{2}"),
            (r"(?<version>(\d+).(\d+))", r"(\d+).(\d+)"),
            ("^(1|2).[1-9]", "(1|2).[1-9]"),
            ("a|b1.2|c", "1.2"),
            ("(v1).(2x)", "(v1).(2x)"),
        ] {
            let found = Written::read(pattern).unwrap().bare_dot();
            assert_eq!(found.and_then(|range| pattern.get(range)), Some(dot), "{pattern}");
        }
        for pattern in [
            r"1\.2",
            "1[.]2",
            "^v.+$",
            ".*-debug",
            "^main-.",
            "a.1",
            "1.x",
            r"\d+.*\d",
            "^[a-f0-9].[0-9]",
            "(1v).2",
        ] {
            assert_eq!(Written::read(pattern).unwrap().bare_dot(), None, "{pattern}");
        }
    }

    #[test]
    fn alternatives_are_those_of_the_whole_pattern() {
        for (pattern, wanted) in [
            ("a|b.c|", &["a", "b.c", ""][..]),
            ("((?<version>a|b))", &["a", "b"]),
            ("^(a|b)$", &["^(a|b)$"]),
            ("", &[""]),
        ] {
            let ranges = Written::read(pattern).unwrap().alternatives();
            let found: Vec<_> = ranges.into_iter().map(|range| pattern.get(range).unwrap()).collect();
            assert_eq!(found, wanted, "{pattern}");
        }
    }

    #[test]
    fn a_group_is_found_by_its_name_and_flags_are_seen() {
        let pattern = r"^v(?P<major>\d+)-(?<version>x(y)+)$";
        let written = Written::read(pattern).unwrap();
        assert_eq!(written.group("version").and_then(|range| pattern.get(range)), Some("x(y)+"));
        assert!(written.group("none").is_none() && !written.has_flags());
        assert!(Written::read("(?i)v").unwrap().has_flags() && Written::read("a(?i:v)").unwrap().has_flags());
    }
}
