//! Which tags compete at all, by `tags.include` and `tags.exclude`.

use regex::bytes::{CaptureLocations, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::api::TagFilter;

use super::InvalidPolicy;

/// The longest pattern, in bytes.
const MOST_PATTERN_BYTES: usize = 1024;

/// The most patterns in `exclude`.
const MOST_EXCLUDES: usize = 32;

/// The most memory a compiled pattern, or its cache, may take: patterns come from tenants.
const MOST_COMPILED_BYTES: usize = 1 << 20;

/// The group whose text is ranked instead of the whole tag.
pub(super) const GROUP: &str = "version";

/// The patterns of a policy. They match anywhere in a tag, as in Flux.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    include: Option<Include>,
    /// `None` where there are no patterns: a search among none would still take its time, for each tag.
    exclude: Option<RegexSet>,
}

#[derive(Clone, Debug)]
struct Include {
    regex: Regex,
    /// Index of the group `version`, where there is one.
    group: Option<usize>,
}

/// Room for the groups of a match, made once per list and not once per tag.
#[derive(Debug)]
pub(super) struct Groups(Option<CaptureLocations>);

impl Filter {
    pub(super) fn compile(filter: &TagFilter) -> Result<Self, InvalidPolicy> {
        let include = filter.include.as_deref().map(Include::compile).transpose()?;
        if filter.exclude.len() > MOST_EXCLUDES {
            let problem = format!("it has more than {MOST_EXCLUDES} patterns; join some with |");
            return Err(InvalidPolicy::new("spec.tags.exclude", problem));
        }
        for (index, pattern) in filter.exclude.iter().enumerate() {
            // The set's own error does not say which pattern it is about.
            compile_regex(&format!("spec.tags.exclude[{index}]"), pattern)?;
        }
        let exclude = RegexSetBuilder::new(&filter.exclude)
            .unicode(false)
            .size_limit(MOST_COMPILED_BYTES)
            .dfa_size_limit(MOST_COMPILED_BYTES)
            .build()
            .map_err(|error| invalid_regex("spec.tags.exclude", &error))?;
        Ok(Self { include, exclude: Some(exclude).filter(|exclude| !exclude.is_empty()) })
    }

    /// Room for [`Filter::ranked_text`].
    pub(super) fn groups(&self) -> Groups {
        Groups(self.include.as_ref().map(|include| include.regex.capture_locations()))
    }

    /// The part of a tag that is ranked; `None` where `include` does not match, or matches without its group `version`.
    #[inline]
    pub(super) fn ranked_text<'t>(&self, tag: &'t str, groups: &mut Groups) -> Option<&'t str> {
        let Some(include) = &self.include else {
            return Some(tag);
        };
        let (Some(group), Groups(Some(locations))) = (include.group, groups) else {
            return include.regex.is_match(tag.as_bytes()).then_some(tag);
        };
        include.regex.captures_read(locations, tag.as_bytes())?;
        let (start, end) = locations.get(group)?;
        tag.get(start..end)
    }

    /// Whether `include` matches at all, with or without its group.
    pub(super) fn include_matches(&self, tag: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.regex.is_match(tag.as_bytes()))
    }

    #[inline]
    pub(super) fn excludes(&self, tag: &str) -> bool {
        self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(tag.as_bytes()))
    }

    /// The first pattern of `exclude` that matches, with its place in the list.
    pub(super) fn excluding(&self, tag: &str) -> Option<(usize, &str)> {
        let exclude = self.exclude.as_ref()?;
        let index = exclude.matches(tag.as_bytes()).iter().next()?;
        Some((index, exclude.patterns().get(index)?))
    }

    /// The patterns of `exclude`.
    pub(super) fn exclude_patterns(&self) -> &[String] {
        self.exclude.as_ref().map(RegexSet::patterns).unwrap_or_default()
    }

    /// The pattern of `include`.
    pub(super) fn include(&self) -> Option<&str> {
        self.include.as_ref().map(|include| include.regex.as_str())
    }
}

impl Include {
    fn compile(pattern: &str) -> Result<Self, InvalidPolicy> {
        let regex = compile_regex("spec.tags.include", pattern)?;
        let group = regex.capture_names().position(|name| name == Some(GROUP));
        Ok(Self { regex, group })
    }
}

/// Classes such as `\w` are ASCII, as in Go, which also keeps `[\w.-]{1,128}` small: tags hold nothing else.
fn compile_regex(field: &str, pattern: &str) -> Result<Regex, InvalidPolicy> {
    if pattern.is_empty() {
        return Err(InvalidPolicy::new(field, "it is empty; write a pattern or leave it out"));
    }
    if pattern.len() > MOST_PATTERN_BYTES {
        let problem = format!("it is longer than {MOST_PATTERN_BYTES} bytes; write a shorter pattern");
        return Err(InvalidPolicy::new(field, problem));
    }
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(MOST_COMPILED_BYTES)
        .dfa_size_limit(MOST_COMPILED_BYTES)
        .build()
        .map_err(|error| invalid_regex(field, &error))
}

/// The parser's text draws the pattern and points below it; on one line only its last sentence is of use.
fn invalid_regex(field: &str, error: &regex::Error) -> InvalidPolicy {
    let problem = match error {
        regex::Error::CompiledTooBig(_) => {
            format!("it needs more than {MOST_COMPILED_BYTES} bytes when compiled; write a simpler pattern")
        }
        error => {
            let text = error.to_string();
            let sentence = text.lines().last().unwrap_or_default();
            let sentence = sentence.trim().trim_start_matches("error: ");
            format!("it is no regular expression: {sentence}; write one such as ^v(?<version>.+)$")
        }
    };
    InvalidPolicy::new(field, problem)
}
