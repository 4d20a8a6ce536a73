//! Dates in tags, and the format that all tags of a series are written in.

/// A calendar version: year, month, and what follows, as they are spelled.
#[derive(Clone, Debug)]
pub(super) struct Date<'t> {
    numbers: Vec<&'t str>,
    /// What stands between the numbers.
    pub(super) separator: Option<char>,
}

/// The years that a tag is taken to be of.
const YEARS: std::ops::RangeInclusive<u64> = 2000..=2099;

/// How many characters a date and a time have before what may follow: `2024-10-13T13-34-11`.
const MOMENT: usize = 19;

/// Reads a date at the beginning of a text, and gives what follows it.
pub(super) fn read(text: &str) -> Option<(Date<'_>, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (first, behind) = text.split_at_checked(length)?;
    match (length, behind.bytes().next()) {
        (8, _) => {
            let numbers = vec![first.get(..4)?, first.get(4..6)?, first.get(6..)?];
            is_day(&numbers).then_some((Date { numbers, separator: None }, behind))
        }
        (4, Some(b'-')) => {
            let (date, behind) = text.split_at_checked(10)?;
            let numbers: Vec<_> = date.split('-').collect();
            let is_whole = numbers.iter().map(|number| number.len()).eq([4, 2, 2])
                && !behind.starts_with(|c: char| c.is_ascii_digit());
            (is_whole && is_day(&numbers)).then_some((Date { numbers, separator: Some('-') }, behind))
        }
        (2 | 4, Some(b'.')) => {
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
            let dotted = text.get(..end)?.trim_end_matches('.');
            let numbers: Vec<_> = dotted.split('.').collect();
            let date = Date { numbers, separator: Some('.') };
            (date.is_calendar()).then_some((date, text.strip_prefix(dotted)?))
        }
        _ => None,
    }
}

fn is_day(numbers: &[&str]) -> bool {
    let within = |at: usize, range: std::ops::RangeInclusive<u64>| {
        numbers.get(at).and_then(|number| number.parse().ok()).is_some_and(|number| range.contains(&number))
    };
    within(0, YEARS) && within(1, 1..=12) && within(2, 1..=31)
}

impl Date<'_> {
    /// Whether numbers with dots between them are a date: a year of four digits and a month, or a year of two and a month
    /// of two that begins with 0, which no other version is written like.
    fn is_calendar(&self) -> bool {
        let number = |at: usize| self.numbers.get(at).and_then(|number| number.parse::<u64>().ok());
        let is_month = number(1).is_some_and(|month| (1..=12).contains(&month));
        let is_year = match self.numbers.as_slice() {
            [year, month, ..] if year.len() == 2 => !year.starts_with('0') && month.starts_with('0'),
            _ => number(0).is_some_and(|year| YEARS.contains(&year)),
        };
        let are_short = self.numbers.iter().all(|number| (1..=9).contains(&number.len()));
        (2..=4).contains(&self.numbers.len()) && is_year && is_month && are_short
    }

    fn spelled(&self, at: usize) -> &str {
        self.numbers.get(at).copied().unwrap_or_default()
    }
}

/// How the numbers of a part are written, as far as some of them tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Two,
    None,
    NotTold,
}

fn padding(dates: &[&Date<'_>], at: usize) -> Padding {
    let spelled = || dates.iter().map(|date| date.spelled(at)).filter(|number| !number.is_empty());
    match (spelled().any(|number| number.starts_with('0')), spelled().any(|number| number.len() == 1)) {
        (true, false) if spelled().all(|number| number.len() == 2) => Padding::Two,
        (false, true) if spelled().all(|number| number.len() <= 2) => Padding::None,
        _ => Padding::NotTold,
    }
}

/// The format of `select.calver` that reads all these dates, which have the same separator.
pub(super) fn format(dates: &[&Date<'_>]) -> String {
    let counts = || dates.iter().map(|date| date.numbers.len());
    let (least, most) = (counts().min().unwrap_or_default(), counts().max().unwrap_or_default());
    let Some(separator) = dates.iter().find_map(|date| date.separator) else { return "YYYY0M0D".to_owned() };
    if separator == '-' {
        return "YYYY-0M-0D".to_owned();
    }
    let year = if dates.iter().all(|date| date.spelled(0).len() == 2) { "YY" } else { "YYYY" };
    let parts: [&str; 4] = match (padding(dates, 1), most, padding(dates, 2)) {
        // Any digits, padded or not, where the month does not tell.
        (Padding::NotTold, 4, _) => [year, "MAJOR", "MINOR", "MICRO"],
        (Padding::NotTold, ..) => [year, "MINOR", "MICRO", ""],
        (Padding::Two, 4, Padding::Two) => [year, "0M", "0D", "MICRO"],
        (Padding::None, 4, Padding::None) => [year, "MM", "DD", "MICRO"],
        (Padding::Two, 4, _) => [year, "0M", "MINOR", "MICRO"],
        (Padding::None, 4, _) => [year, "MM", "MINOR", "MICRO"],
        (Padding::Two, _, Padding::Two) => [year, "0M", "0D", ""],
        (Padding::Two, ..) => [year, "0M", "MICRO", ""],
        (Padding::None, ..) => [year, "MM", "MICRO", ""],
    };
    let mut format = String::new();
    for (at, part) in parts.into_iter().enumerate().take(most) {
        match at {
            0 => format.push_str(part),
            _ if at < least => format.extend([".", part]),
            _ => format.extend(["[.", part, "]"]),
        }
    }
    format
}

/// The pattern of such dates.
pub(super) fn pattern(dates: &[&Date<'_>]) -> String {
    match dates.iter().find_map(|date| date.separator) {
        None => r"\d{8}".to_owned(),
        Some('-') => r"\d{4}-\d{2}-\d{2}".to_owned(),
        Some(_) => r"v?\d+(?:\.\d+)+".to_owned(),
    }
}

/// What a person should look at.
pub(super) fn note(dates: &[&Date<'_>]) -> Option<&'static str> {
    let is_dotted = dates.iter().any(|date| date.separator == Some('.'));
    (is_dotted && padding(dates, 1) == Padding::NotTold)
        .then_some("The tags do not tell whether months are written with two digits, so any number is taken.")
}

/// The pattern of a tag with a date and a time in it, such as MinIO's `RELEASE.2024-10-13T13-34-11Z`.
pub(super) fn moment(tag: &str) -> Option<String> {
    let at = tag.match_indices('T').map(|(at, _)| at).find(|at| {
        let date = at.checked_sub(10).and_then(|start| tag.get(start..*at));
        date.and_then(read).is_some_and(|(date, rest)| date.separator == Some('-') && rest.is_empty())
    })?;
    let start = at.checked_sub(10)?;
    let (before, moment) = (tag.get(..start)?, tag.get(start..start + MOMENT)?);
    let behind = tag.get(start + MOMENT..)?;
    let fixed = |c: char| match c {
        '0'..='9' => r"\d".to_owned(),
        '.' => r"\.".to_owned(),
        c => c.to_string(),
    };
    let shape: String = moment.chars().map(fixed).collect();
    let is_free = |text: &str| !text.bytes().any(|byte| byte.is_ascii_digit());
    (is_free(before) && is_free(behind))
        .then(|| format!("{}{shape}{}", super::reading::escaped(before), super::reading::escaped(behind)))
}
