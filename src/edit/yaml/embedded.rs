//! Values that are kept as text: YAML in a scalar of YAML, as in `helm.values: |` of Argo CD and in ConfigMaps.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use super::block::Block;
use super::document::Document;
use super::place::Text;
use super::reader::Node;
use super::target::NoTarget;
use crate::edit::{FileSites, Obstacle, ProblemReason, Site, Style, Targets};

/// The name under which a text is read, as if it were a file.
const NAME: &str = "values.yaml";

/// Whether the document may hold such a text.
pub(super) fn may_be_in(document: &str) -> bool {
    ["ConfigMap", "Application", "HelmChart"].iter().any(|kind| document.contains(kind))
}

/// Finds what the texts of a document hold, each read as a file of its own.
pub(super) fn find<'t, 'a: 't>(
    document: &Document<'_>,
    texts: impl Iterator<Item = Text<'t, 'a>>,
    is_encrypted: bool,
    targets: &Targets,
    found: &mut FileSites,
) {
    // Of few documents; the others are spared the copy.
    let targets_in_text = LazyCell::new(|| targets.in_text());
    let mut seen = BTreeSet::new();
    for Text { scalar, holds } in texts {
        // However many aliases lead to a text, it is read once.
        let Some(text) = scalar.text().filter(|_| seen.insert(scalar.span.start)) else { continue };
        let inner = super::find_in(NAME, holds, text, &targets_in_text);
        if inner.is_empty() {
            continue;
        }
        let block = Block::of(document.text, text, &scalar.span, scalar.lines.0);
        let block = block.filter(|_| scalar.is_literal());
        let around = Around { document, scalar, block };
        // A text may hold a tag and its digest, of which none is read without the other.
        if !found.has_room_for(inner.sites.len(), around.line(1)) {
            return;
        }
        found.sites.extend(inner.sites.into_iter().map(|site| around.outward(site, is_encrypted)));
        for problem in inner.problems {
            found.add_problem(around.line(problem.line), problem.reason, problem.message);
        }
    }
}

/// A text and what it lies in.
struct Around<'d, 't, 'a> {
    document: &'d Document<'d>,
    scalar: &'t Node<'a>,
    /// `None` where the text is written in another way than as a block.
    block: Option<Block>,
}

impl Around<'_, '_, '_> {
    /// The file's line of a line of the text.
    fn line(&self, line: u64) -> u64 {
        let line = self.block.as_ref().map(|block| block.line_outward(usize::try_from(line).unwrap_or(1)));
        self.document.file_line(line.unwrap_or(self.scalar.lines.0))
    }

    /// A site of the text as one of the file.
    fn outward(&self, site: Site, is_encrypted: bool) -> Site {
        let start = self.document.start;
        let place = |at| Some(start + self.block.as_ref()?.outward(at)?);
        let whole = start + self.scalar.span.start..start + self.scalar.span.end;
        let line = self.line(site.line);
        let obstacle = |reason, message| Some(Box::new(Obstacle { reason, message }));
        match (place(site.span.start), place(site.span.end)) {
            (Some(from), Some(to)) if is_encrypted => {
                let trouble = NoTarget::Encrypted;
                let obstacle = obstacle(trouble.reason(), trouble.to_string());
                Site { line, span: from..to, obstacle, ..site }
            }
            (Some(from), Some(to)) => Site { line, span: from..to, ..site },
            (None, _) | (_, None) => {
                let message =
                    "the value is in text that is quoted or folded; write that text as it is, behind |";
                let obstacle = obstacle(ProblemReason::NoValue, message.to_owned());
                Site { line, span: whole, style: Style::Plain, obstacle, ..site }
            }
        }
    }
}
