//! `tagtide explain`: which tag a policy chooses, and why not the others.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::engine_args::ConnectionArgs;
use super::live::{LiveRegistries, Source};
use super::output::{FAINT, GOOD, STRONG, printable};
use super::{BadInput, object_key, output, planning, tag_list};
use crate::api::{ImagePolicy, ObjectKey};
use crate::engine::Looked;
use crate::folder::Folder;
use crate::image::Digest;
use crate::policy::{Choice, Facts, Need, Policy, compile};

/// The refused tags that a table shows.
const MOST_ROWS: usize = 20;

/// No tag meets the policy.
const NONE_CHOSEN: u8 = 3;

/// Say which tag a policy chooses, and why not the others
#[derive(Args, Debug)]
#[command(after_help = "\
With --tags nothing is asked over the network; without, the image's registry is, with the Secrets and ConfigMaps of the folder; or its mirrors are, which
is told then.

Exit codes: 0 a tag is chosen, 3 none is, 2 bad input, 1 the registry could not be asked.

Example: crane ls ghcr.io/acme/api | tagtide explain --policies policies/ --policy shop/api --tags -")]
pub struct ExplainArgs {
    /// The folder, or one file, with the objects
    #[arg(long, value_name = "PATH")]
    policies: PathBuf,

    /// The policy
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = object_key)]
    policy: ObjectKey,

    /// The tags to choose from: one a line, or JSON: what a registry answers to tags/list, what skopeo prints, or an
    /// array; - reads standard input
    #[arg(long, value_name = "FILE")]
    tags: Option<PathBuf>,

    /// What is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connections: ConnectionArgs,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    #[default]
    Text,
    /// One JSON object, with every refused tag
    Json,
}

/// What scripts read: names and shape stay.
#[derive(Serialize)]
struct Explanation<'a> {
    policy: String,
    selected: Option<SelectedTag<'a>>,
    reason: &'a str,
    refused: Vec<RefusedTag<'a>>,
}

#[derive(Serialize)]
struct SelectedTag<'a> {
    tag: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

#[derive(Serialize)]
struct RefusedTag<'a> {
    tag: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl ExplainArgs {
    /// Chooses, and prints why.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let folder = Arc::new(planning::load(&self.policies)?);
        let (object, policy) = self.find(&folder)?;
        let Looked { choice, digest } = match &self.tags {
            Some(path) => {
                if policy.need() != Need::Nothing {
                    let asks = match policy.need() {
                        Need::BuildTimes => "select.newestBuild",
                        Need::Platforms | Need::Nothing => "platforms",
                    };
                    return Err(BadInput::with_hint(
                        format!("{}: a list of tags does not tell what {asks} asks for", self.policy),
                        "leave --tags out, and the registry is asked".to_owned(),
                    )
                    .into());
                }
                let mut chooser = policy.chooser(usize::MAX);
                tag_list::read(path)?.iter().for_each(|tag| chooser.offer_text(tag));
                Looked { choice: chooser.finish().decide(&Facts::new()), digest: Ok(None) }
            }
            None => {
                let live = LiveRegistries::new(Arc::clone(&folder), &self.connections);
                super::block_on(ask(&live, &object, &policy))?
            }
        };
        let digest = digest?;
        if choice.malformed > 0 {
            let (malformed, all) = (choice.malformed, choice.tags);
            let message = format!("dropped {malformed} of {all} names, which break the grammar of tags");
            output::warning(&message);
        }
        match self.output {
            Output::Text => output::print(&table(&self.policy, &policy, &choice, digest.as_ref()))?,
            Output::Json => output::print_json(&explanation(&self.policy, &choice, digest.as_ref()))?,
        }
        Ok(choice.winner.map_or(ExitCode::from(NONE_CHOSEN), |_| ExitCode::SUCCESS))
    }

    fn find(&self, folder: &Folder) -> Result<(Arc<ImagePolicy>, Arc<Policy>), BadInput> {
        let key = &self.policy;
        let (own, others): (Vec<_>, Vec<_>) = folder
            .problems
            .iter()
            .partition(|problem| problem.object.as_ref().is_some_and(|o| o.key == *key));
        others.iter().for_each(|problem| output::warning(problem));
        if let Some(problem) = own.first() {
            return Err(BadInput::new(problem.to_string()));
        }
        let object = folder.policies.get(key).ok_or_else(|| planning::no_such_policy(folder, key))?;
        match compile(&object.spec) {
            Ok(policy) => Ok((Arc::clone(object), Arc::new(policy))),
            Err(error) => Err(BadInput::new(planning::invalid(folder, key, &error).to_string())),
        }
    }
}

async fn ask(live: &LiveRegistries, object: &ImagePolicy, policy: &Arc<Policy>) -> anyhow::Result<Looked> {
    let source = Source::of(object, policy);
    let (looked, asked) = live.choose(&source, &[Arc::clone(policy)], usize::MAX).await?;
    if let Some(asked) = asked {
        asked.passed_over.iter().for_each(|one| output::warning(&one.problem));
        output::note(&asked.words());
    }
    looked.into_iter().next().ok_or_else(|| anyhow::anyhow!("the list was given to no policy"))
}

fn explanation<'a>(key: &ObjectKey, choice: &'a Choice, digest: Option<&'a Digest>) -> Explanation<'a> {
    let refused = choice.refused.iter().map(|refused| RefusedTag {
        tag: refused.tag.as_str(),
        reason: refused.rule.as_str(),
        message: &refused.message,
    });
    let selected = choice.winner.as_ref();
    Explanation {
        policy: key.to_string(),
        selected: selected.map(|winner| SelectedTag {
            tag: winner.tag.as_str(),
            version: &winner.version,
            digest: digest.map(Digest::as_str),
            created: winner.built.map(|built| built.to_string()),
        }),
        reason: &choice.reason,
        refused: refused.collect(),
    }
}

fn table(key: &ObjectKey, policy: &Policy, choice: &Choice, digest: Option<&Digest>) -> String {
    let winner =
        choice.winner.as_ref().map(|winner| (winner.tag.as_str(), "Selected", choice.reason.as_str()));
    let refused = choice.refused.iter().map(|r| (r.tag.as_str(), r.rule.as_str(), r.message.as_str()));
    let rows: Vec<_> = winner.into_iter().chain(refused.take(MOST_ROWS)).collect();
    let width = |cell: fn(&(&str, &str, &str)) -> usize| rows.iter().map(cell).max().unwrap_or_default();
    let (tag_width, verdict_width) = (width(|row| row.0.len()), width(|row| row.1.len()));
    let mut text = format!("{STRONG}{key}{STRONG:#}  {}\n", policy.image());
    if let Some(digest) = digest {
        let _ = writeln!(text, "  {digest}");
    }
    if choice.winner.is_none() {
        let _ = writeln!(text, "no tag is chosen: {}", printable(&choice.reason));
    }
    for (tag, verdict, why) in &rows {
        let style = if *verdict == "Selected" { GOOD } else { FAINT };
        let _ = writeln!(
            text,
            "  {tag:tag_width$}  {style}{verdict:verdict_width$}{style:#}  {}",
            printable(why)
        );
    }
    if let Some(more @ 1..) = choice.refused.len().checked_sub(MOST_ROWS) {
        let _ = writeln!(text, "  and {more} more, which -o json lists");
    }
    text
}
