//! The values below Renovate's comments.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::reader::{Node, Reading};
use super::target::{self, SOPS_VALUE, Target, is_digest};
use super::tree::{self, View};
use crate::edit::{FileSites, Obstacle, Owner, Part, Site, renovate};
use crate::image::ImageName;

/// The keys of a tag that may have its digest beside it.
const TAGS: [&str; 3] = ["tag", "newTag", "version"];

/// The keys of such a digest.
const DIGESTS: [&str; 2] = ["digest", "sha"];

/// Finds the values below the comments that name an image: the one on the next line that surely is a version of it.
/// A line with a marker, good or bad, is the marker's business.
pub(super) fn find(
    document: &Document<'_>,
    reading: &Reading<'_>,
    marked: &BTreeSet<u64>,
    found: &mut FileSites,
) {
    let tree = OnceCell::new();
    let digests = OnceCell::new();
    for comment in &reading.comments {
        let is_alone = target::line_before(document.text, comment).trim().is_empty();
        let Some(image) = renovate::image(comment.text.trim_start_matches('#')).filter(|_| is_alone) else {
            continue;
        };
        let line = document.file_line(comment.line + 1);
        if marked.contains(&line) || reading.is_encrypted {
            continue;
        }
        let values = values_of(reading, comment.line + 1);
        let texts: Vec<_> = values.iter().map(|(value, _)| *value).collect();
        let (target, part, obstacle) = match renovate::meant(&image, &texts, true) {
            Some(Ok((at, part))) => (values.into_iter().nth(at), part, None),
            Some(Err(obstacle)) => (values.into_iter().next_back(), Part::Tag, Some(Box::new(obstacle))),
            None => continue,
        };
        let Some((_, target)) = target else { continue };
        let mut tag = Site { obstacle, ..site(document, &image, part, line, target) };
        let mut beside = None;
        if part == Part::Tag
            && tag.obstacle.is_none()
            && let Ok(tree) = tree.get_or_init(|| tree::read(document.text))
            && let digests = digests.get_or_init(|| digests_beside_tags(tree.root()))
            && let Some(digest) = digests.get(&(tag.span.start - document.start))
        {
            tag.part = Part::TagBesideDigest;
            let line = document.file_line(digest.lines.0);
            match target::target(digest) {
                Ok(_) if marked.contains(&line) => {}
                Ok(target) => beside = Some(site(document, &image, Part::Digest, line, target)),
                // A tag does not move without its digest.
                Err(trouble) => {
                    let (reason, message) = (trouble.reason(), trouble.to_string());
                    tag.obstacle = Some(Box::new(Obstacle { reason, message }));
                }
            }
        }
        // Nor is one of the two read without the other.
        if !found.has_room_for(1 + usize::from(beside.is_some()), line) {
            return;
        }
        found.sites.extend(beside);
        found.sites.push(tag);
    }
}

/// The values on a line that could be written.
fn values_of<'n>(reading: &'n Reading<'_>, line: usize) -> Vec<(renovate::Value<'n>, Target<'n>)> {
    let begin = reading.nodes.partition_point(|node| node.lines.0 < line);
    let nodes = reading.nodes.get(begin..).unwrap_or_default().iter();
    let mut key = None;
    let mut values = Vec::new();
    for node in nodes.take_while(|node| node.lines.0 == line) {
        let stands_behind = key.take();
        if node.is_key {
            key = node.text();
        } else if let Ok(target) = target::target(node)
            && !target.value.starts_with(SOPS_VALUE)
        {
            values.push((renovate::Value { key: stands_behind, text: target.value }, target));
        }
    }
    values
}

fn site(
    document: &Document<'_>,
    image: &ImageName,
    part: Part,
    line: u64,
    Target { value, style, span }: Target<'_>,
) -> Site {
    Site {
        line,
        part,
        owner: Owner::Image(image.clone()),
        value: value.to_owned(),
        obstacle: None,
        rivals: None,
        span: document.start + span.start..document.start + span.end,
        style,
    }
}

/// The digests that have a tag beside them, by where the tag begins.
fn digests_beside_tags<'t, 'a>(root: View<'t, 'a>) -> BTreeMap<usize, &'t Node<'a>> {
    let mut digests = BTreeMap::new();
    for view in root.everything() {
        let mut beside = DIGESTS.iter().filter_map(|key| view.get(key)?.scalar());
        if let Some(digest) = beside.find(|node| is_digest(node)) {
            let tags = TAGS.iter().filter_map(|key| {
                let tag = view.get(key)?.scalar()?;
                // That of an alias stands elsewhere.
                (view.key(key)?.lines == tag.lines).then_some(tag.span.start)
            });
            digests.extend(tags.map(|tag| (tag, digest)));
        }
    }
    digests
}
