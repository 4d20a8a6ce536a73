//! The one table that the benchmark prints, in Markdown.

use std::fmt;

use crate::counted::Cost;

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    Seconds(f64),
    CpuSeconds(f64),
    MiB(f64),
    BytesDown(u64),
    /// So many times faster than the reference.
    Faster(f64),
    /// So many times less CPU than the reference.
    LessCpu(f64),
}

/// One row.
pub struct Row {
    what: &'static str,
    files: usize,
    ours: Cost,
    reference: Option<Cost>,
    goals: Vec<Goal>,
}

impl Row {
    pub fn new(what: &'static str, files: usize, ours: Cost) -> Self {
        Self { what, files, ours, reference: None, goals: Vec::new() }
    }

    pub fn beside(self, reference: Cost) -> Self {
        Self { reference: Some(reference), ..self }
    }

    pub fn goals(self, goals: &[Goal]) -> Self {
        Self { goals: goals.to_vec(), ..self }
    }

    fn faster(&self) -> f64 {
        self.reference.map_or(f64::NAN, |reference| reference.seconds / self.ours.seconds)
    }

    fn less_cpu(&self) -> f64 {
        // The clock of a process ticks every 10 ms, over 7 rounds at least.
        self.reference.map_or(f64::NAN, |reference| reference.cpu_seconds / self.ours.cpu_seconds.max(0.001))
    }

    /// The goal in words, with a mark where it is missed.
    fn judge(&self, goal: Goal) -> String {
        let (text, is_reached) = match goal {
            Goal::Seconds(most) => (format!("≤ {most} s"), self.ours.seconds <= most),
            Goal::CpuSeconds(most) => (format!("≤ {most} CPU s"), self.ours.cpu_seconds <= most),
            Goal::MiB(most) => (format!("≤ {most} MiB"), self.ours.peak_mib <= most),
            Goal::BytesDown(most) => (format!("≤ {most} B down"), self.ours.down <= most),
            Goal::Faster(least) => (format!("≥ {least}× faster"), self.faster() >= least),
            Goal::LessCpu(least) => (format!("≥ {least}× less CPU"), self.less_cpu() >= least),
        };
        if is_reached { text } else { format!("**missed**: {text}") }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} |", self.what, self.files)?;
        for cost in [Some(self.ours), self.reference] {
            match cost {
                Some(cost) => write!(
                    f,
                    " {:.3} | {:.3} | {:.0} | {} / {} in {} |",
                    cost.seconds,
                    cost.cpu_seconds,
                    cost.peak_mib,
                    bytes(cost.down),
                    bytes(cost.up),
                    cost.requests
                )?,
                None => f.write_str(" | | | |")?,
            }
        }
        match self.reference {
            Some(_) => write!(f, " {:.0}× | {:.0}× |", self.faster(), self.less_cpu())?,
            None => f.write_str(" | |")?,
        }
        let goals: Vec<String> = self.goals.iter().map(|goal| self.judge(*goal)).collect();
        write!(f, " {} |", goals.join(", "))
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KB", count / 1000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

/// The rows so far.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a row, and shows it at once to who waits for the whole.
    pub fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.0.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | files | Tagtide s | CPU s | MiB | bytes down / up in requests | reference s | CPU s | MiB | bytes down / up in requests | faster | less CPU | goal |"
        )?;
        writeln!(
            f,
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
        )?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
