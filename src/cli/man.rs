//! `tagtide man`: the manual pages, one for each command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::{Cli, output};

/// Print the manual page, or write one for each command
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 done, 1 a file could not be written.

Example: tagtide man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Write tagtide.1, tagtide-plan.1 and the others into this folder instead
    #[arg(long = "out", value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl ManArgs {
    /// Prints or writes them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let pages = pages()?;
        match self.folder {
            Some(folder) => {
                for (name, page) in pages {
                    output::write_file(&folder.join(name), &page)?;
                }
            }
            None => {
                let page = pages.into_iter().next().map(|(_, page)| page);
                output::print_raw(&page.unwrap_or_default())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// File name and content of each page, the one of the program first.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives each command its whole name, and the version.
    program.build();
    let commands = [program.clone()].into_iter().chain(program.get_subcommands().cloned());
    let page = |command: Command| {
        let man = Man::new(command);
        let mut page = Vec::new();
        man.render(&mut page).context("a page can not be made")?;
        Ok((man.get_filename(), page))
    };
    commands.map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options_and_exit_codes() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "tagtide.1");
        assert!(names.contains(&"tagtide-plan.1") && names.contains(&"tagtide-man.1"), "{names:?}");
        for (name, page) in &pages[1..] {
            let page = String::from_utf8(page.clone()).unwrap();
            assert!(page.starts_with(".ie"), "{name}: {page}");
            assert!(page.contains("Exit codes: "), "{name}: {page}");
        }
        let plan = &pages.iter().find(|(name, _)| name == "tagtide-plan.1").unwrap().1;
        let plan = String::from_utf8(plan.clone()).unwrap();
        assert!(plan.contains("\\fB\\-\\-select\\fR"), "{plan}");
    }
}
