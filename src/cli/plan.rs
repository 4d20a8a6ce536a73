//! `tagtide plan`: what would be written, as a diff.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::diff::{Look, unified};
use super::planning::{Planned, PlanningArgs};
use super::report::{Report, summarise};
use super::{BAD_INPUT, output};

/// There is something to write.
const CHANGES: u8 = 10;

/// Show what would be written to a repo, as a diff
#[derive(Args, Debug)]
#[command(after_help = "\
The diff on standard output is one that `git apply` takes. What stands in the way, such as a marker of an unknown \
policy, is told on standard error and stops nothing else. Policies whose tag is given with --select need no network.

Exit codes: 0 nothing to write, 10 there is, 2 bad input, 1 a registry or the repo could not be read. An object in the \
folder that can not be used is bad input: the others are planned all the same.

Example: tagtide plan --policies policies/ --repo . --select shop/api=1.9.4 | git apply")]
pub struct PlanArgs {
    #[command(flatten)]
    planning: PlanningArgs,

    /// What is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A unified diff
    #[default]
    Diff,
    /// One JSON object with policies, changes and problems
    Json,
    /// The same as YAML
    Yaml,
}

impl PlanArgs {
    /// Plans, and prints the plan.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::block_on(async {
            let planned = self.planning.plan().await?;
            summarise(&planned.plan, &planned.wishes);
            match self.output {
                Output::Diff => output::print_raw(diff(&planned).as_bytes())?,
                Output::Json => output::print_json(&Report::of(&planned.plan, &planned.wishes))?,
                Output::Yaml => output::print_yaml(&Report::of(&planned.plan, &planned.wishes))?,
            }
            let code = planned.fault().unwrap_or_else(|| match planned.plan.files.as_slice() {
                [] => ExitCode::SUCCESS,
                [..] => ExitCode::from(CHANGES),
            });
            // The process ends here: to give back what a large repo took, piece by piece, would only take time.
            std::mem::forget(planned);
            Ok(code)
        })
    }
}

impl Planned {
    /// The exit code of a plan that is not whole.
    pub(super) fn fault(&self) -> Option<ExitCode> {
        match (self.has_bad_objects, self.is_partial) {
            (true, _) => Some(ExitCode::from(BAD_INPUT)),
            (false, true) => Some(ExitCode::FAILURE),
            (false, false) => None,
        }
    }
}

fn diff(planned: &Planned) -> String {
    let colour = output::shows_colour();
    let look = if colour || output::is_on_screen() { Look::Screen { colour } } else { Look::Exact };
    let files = planned.plan.files.iter().map(|file| {
        let old = planned.old.get(&file.path).map(Vec::as_slice).unwrap_or_default();
        // Only files that are UTF-8 are ever changed.
        let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(&file.content));
        unified(&file.path, &old, &new, look)
    });
    files.collect()
}
