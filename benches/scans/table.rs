//! The table that is printed.

use std::fmt;

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub seconds: f64,
    /// User and system time.
    pub cpu_seconds: f64,
    /// The most resident memory.
    pub peak_mib: f64,
    /// Counted of Tagtide alone.
    pub allocations: f64,
}

impl Cost {
    /// The mean time of so many rounds.
    pub fn each_of(self, rounds: usize) -> Self {
        let rounds = rounds as f64;
        Self {
            seconds: self.seconds / rounds,
            cpu_seconds: self.cpu_seconds / rounds,
            allocations: self.allocations / rounds,
            ..self
        }
    }

    /// What it took more than something else.
    pub fn on_top_of(self, other: Self) -> Self {
        Self {
            seconds: self.seconds - other.seconds,
            cpu_seconds: self.cpu_seconds - other.cpu_seconds,
            peak_mib: self.peak_mib - other.peak_mib,
            allocations: self.allocations - other.allocations,
        }
    }
}

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    CpuSeconds(f64),
    MiB(f64),
    /// Than the reference.
    Faster(f64),
    LessCpu(f64),
}

/// One measure.
pub struct Row {
    what: String,
    ours: Cost,
    reference: Cost,
    goals: Vec<Goal>,
}

impl Row {
    pub fn new(what: String, ours: Cost) -> Self {
        Self { what, ours, reference: Cost::default(), goals: Vec::new() }
    }

    pub fn beside(self, reference: Cost) -> Self {
        Self { reference, ..self }
    }

    pub fn goals(self, goals: &[Goal]) -> Self {
        Self { goals: goals.to_vec(), ..self }
    }

    fn faster(&self) -> f64 {
        self.reference.seconds / self.ours.seconds
    }

    fn less_cpu(&self) -> f64 {
        self.reference.cpu_seconds / self.ours.cpu_seconds
    }

    /// The goal in words, with a mark where it is missed.
    fn judge(&self, goal: Goal) -> String {
        let (text, is_reached) = match goal {
            Goal::CpuSeconds(most) => (format!("≤ {most} CPU s"), self.ours.cpu_seconds <= most),
            Goal::MiB(most) => (format!("≤ {most} MiB"), self.ours.peak_mib <= most),
            Goal::Faster(least) => (format!("≥ {least}× faster"), self.faster() >= least),
            Goal::LessCpu(least) => (format!("≥ {least}× less CPU"), self.less_cpu() >= least),
        };
        if is_reached { text } else { format!("**missed**: {text}") }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} |", self.what)?;
        for cost in [self.ours, self.reference] {
            write!(f, " {:.4} | {:.4} | {:.0} |", cost.seconds, cost.cpu_seconds, cost.peak_mib)?;
        }
        write!(f, " {:.0}× | {:.0}× |", self.faster(), self.less_cpu())?;
        let goals: Vec<String> = self.goals.iter().map(|goal| self.judge(*goal)).collect();
        write!(f, " {} |", goals.join(", "))
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
            "| what | Tagtide s | CPU s | MiB | reference s | CPU s | MiB | faster | less CPU | goal |"
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
