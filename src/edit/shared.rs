//! Values that several places use, which aliases make possible: each is told once, and none is written on which its
//! places do not agree.

use super::{Obstacle, Owner, Part, ProblemReason, Site};

/// Puts the sites in the order of the file, each meaning of a value once.
///
/// All sites of one value are judged together. Where they do not agree on what it holds nobody may write it, and each owner
/// is told so; what keeps one of them from being written keeps all. Text that can not be written anyway may hold
/// several values.
pub(super) fn settle(sites: &mut Vec<Site>) {
    sites.sort_by(|one, other| one.meaning().cmp(&other.meaning()));
    let is_shared = |one: &Site, next: &Site| one.place() == next.place() && !one.style.is_added();
    for sharing in sites.chunk_by_mut(is_shared) {
        if let Some(obstacle) = obstacle_of_all(sharing) {
            for site in sharing {
                site.obstacle.get_or_insert_with(|| Box::new(obstacle.clone()));
            }
        }
    }
    sites.dedup_by(|later, site| {
        later.meaning() == site.meaning() && later.obstacle.is_some() == site.obstacle.is_some()
    });
}

fn obstacle_of_all(sharing: &[Site]) -> Option<Obstacle> {
    let (first, others) = sharing.split_first()?;
    if others.iter().any(|site| site.meaning() != first.meaning()) {
        return Some(Obstacle {
            reason: ProblemReason::Ambiguous,
            message:
                "the value is used in several places, as parts of different images or as different parts"
                    .to_owned(),
        });
    }
    sharing.iter().find_map(|site| site.obstacle.as_deref().cloned())
}

impl Site {
    /// Where the value is. What is added behind a value has the bytes of that, and is another; by an alias, it is also added elsewhere.
    fn place(&self) -> (usize, usize, bool) {
        (self.span.start, self.span.end, self.style.is_added())
    }

    /// Where the value is, whom it follows, and as what.
    fn meaning(&self) -> ((usize, usize, bool), &Owner, Part) {
        (self.place(), &self.owner, self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Style;
    use crate::image::ImageName;

    /// A site at `start` that is the tag of `image`, which can be written.
    fn tag(start: usize, image: &str) -> Site {
        Site {
            line: 1,
            owner: Owner::Image(ImageName::parse(image).unwrap()),
            part: Part::Tag,
            value: "1.0".to_owned(),
            obstacle: None,
            rivals: None,
            span: start..start + 3,
            style: Style::Plain,
        }
    }

    fn hindered(site: Site) -> Site {
        let obstacle = Obstacle { reason: ProblemReason::NoDigest, message: "x".to_owned() };
        Site { obstacle: Some(Box::new(obstacle)), ..site }
    }

    /// The sites that are left: where each begins, and what keeps it from being written.
    fn settled(mut sites: Vec<Site>) -> Vec<(usize, Option<ProblemReason>)> {
        settle(&mut sites);
        sites.iter().map(|site| (site.span.start, site.obstacle.as_ref().map(|it| it.reason))).collect()
    }

    #[test]
    fn a_value_on_which_all_agree_is_told_once() {
        for places in 1..6 {
            assert_eq!(settled(vec![tag(0, "a"); places]), [(0, None)]);
        }
        assert_eq!(settled(vec![tag(4, "b"), tag(0, "a"), tag(4, "b")]), [(0, None), (4, None)]);
    }

    #[test]
    fn a_value_of_different_images_is_nobodys_however_many_there_are() {
        let ambiguous = (0, Some(ProblemReason::Ambiguous));
        for images in
            [&["a", "b"] as &[_], &["a", "b", "c"], &["a", "b", "c", "d"], &["a", "b", "a", "c", "b"]]
        {
            let mut owners = images.to_vec();
            owners.sort_unstable();
            owners.dedup();
            let sites = images.iter().map(|image| tag(0, image)).collect();
            assert_eq!(settled(sites), vec![ambiguous; owners.len()], "{images:?}");
        }
        let digest = Site { part: Part::Digest, ..tag(0, "a") };
        assert_eq!(settled(vec![tag(0, "a"), digest, tag(0, "a")]), [ambiguous; 2]);
    }

    #[test]
    fn what_hinders_one_place_hinders_all() {
        let reason = Some(ProblemReason::NoDigest);
        assert_eq!(settled(vec![tag(0, "a"), hindered(tag(0, "a"))]), [(0, reason)]);
        assert_eq!(
            settled(vec![tag(0, "b"), hindered(tag(0, "a"))]),
            [(0, reason), (0, Some(ProblemReason::Ambiguous))]
        );
    }

    #[test]
    fn text_that_can_not_be_written_may_hold_several_values() {
        let reason = Some(ProblemReason::NoDigest);
        assert_eq!(settled(vec![hindered(tag(0, "a")), hindered(tag(0, "b"))]), [(0, reason); 2]);
    }
}
