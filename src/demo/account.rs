//! What a demo says while it goes: numbered steps, with what came of each below it.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Instant;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Effects, Style};

const STRONG: Style = Style::new().effects(Effects::BOLD);
const FAINT: Style = Style::new().effects(Effects::DIMMED);
const STEP: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);

/// The account, on standard output. Colours are left out by the stream where nobody would see them.
pub(super) struct Account {
    started: Instant,
    steps: u32,
}

impl Account {
    pub(super) fn begin() -> Self {
        Self { started: Instant::now(), steps: 0 }
    }

    /// A line of its own, before the first step or after the last.
    pub(super) fn title(&self, text: impl Display) {
        write(format_args!("{STRONG}{text}{STRONG:#}"));
    }

    /// What is done next.
    pub(super) fn step(&mut self, text: impl Display) {
        self.steps += 1;
        write(format_args!("\n{STEP}{}  {text}{STEP:#}", self.steps));
    }

    /// What came of it, line by line.
    pub(super) fn say(&self, text: impl Display) {
        for line in text.to_string().lines() {
            let margin = if line.is_empty() { "" } else { "   " };
            write(format_args!("{margin}{line}"));
        }
    }

    /// A command, as it could be typed.
    pub(super) fn command(&self, line: impl Display) {
        write(format_args!("   {FAINT}${FAINT:#} {STRONG}{line}{STRONG:#}"));
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// Whether colours reach the reader.
pub(super) fn is_coloured() -> bool {
    match anstream::AutoStream::choice(&std::io::stdout()) {
        ColorChoice::Never => false,
        ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
    }
}

fn write(line: impl Display) {
    // A reader that has gone away, such as `head`, does not end the demo: it still has to clean up.
    let _ = writeln!(anstream::stdout(), "{line}");
}
