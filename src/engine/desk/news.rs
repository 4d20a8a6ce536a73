//! What deliveries of webhooks tell: which scans are asked for, and which tags their lists should show.

use std::collections::BTreeSet;

use super::Engine;
use super::agenda::Agenda;
use crate::engine::scan::{Scan, ScanKey};
use crate::engine::world::World;
use crate::image::{ImageName, Tag};
use crate::registry::webhook::Pushed;

impl<W: World> Engine<W> {
    /// What nobody scans is passed over: the sender may tell of a whole registry.
    pub(super) fn take_news(&mut self, pushed: &BTreeSet<Pushed>) {
        for pushed in pushed {
            let told: Vec<ScanKey> = told_of(&self.scans, pushed).cloned().collect();
            for key in told {
                if let Some(mut slot) = self.scans.get_mut(&key) {
                    slot.ask_on_news();
                }
                if let Some(tag) = &pushed.tag {
                    self.awaited.entry(key).or_default().expect(tag.clone());
                }
            }
        }
    }

    /// The tags that the next list of a scan should show.
    pub(super) fn tags_awaited_of(&self, key: &ScanKey) -> BTreeSet<Tag> {
        self.awaited.get(key).map(|awaited| awaited.tags().clone()).unwrap_or_default()
    }

    /// Has a list that lacks a tag of which a delivery told read again after a while.
    pub(super) fn look_again_for_awaited(&mut self, key: &ScanKey, scan: &Scan) {
        let Some(awaited) = self.awaited.get_mut(key) else { return };
        let pause = awaited.settle(&scan.shown, &scan.lacking);
        if awaited.tags().is_empty() {
            self.awaited.remove(key);
        }
        if let (Some(pause), Some(mut slot)) = (pause, self.scans.get_mut(key)) {
            tracing::debug!(image = %key.image, tags = scan.lacking.len(), ?pause, "tags of which a delivery told are not listed yet");
            slot.look_again(pause);
        }
    }
}

/// The scans of which a delivery speaks. All that it can mean stand together in their order, so that a fleet's other
/// thousands are not looked at.
fn told_of<'a>(scans: &'a Agenda, pushed: &'a Pushed) -> impl Iterator<Item = &'a ScanKey> {
    let may_be_meant = |image: &ImageName| {
        let is_near = || image.repository().starts_with(pushed.image.repository());
        pushed.image == *image || (pushed.and_below && pushed.image.host() == image.host() && is_near())
    };
    let first = ScanKey { image: pushed.image.clone(), asker: None };
    let near = scans.keys_from(first).take_while(move |key| may_be_meant(&key.image));
    near.filter(|key| pushed.is_of(&key.image))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ObjectKey;
    use crate::engine::asker::Asker;

    fn image(name: &str) -> ImageName {
        ImageName::parse(name).unwrap()
    }

    /// The scans that a delivery for `name` asks for, of all these.
    fn told(name: &str, and_below: bool) -> Vec<String> {
        let pull_secret = serde_saphyr::from_str("{secretRef: {name: pull}}").unwrap();
        let asker = Asker::of_operator("tagtide", pull_secret);
        let names = [
            "r.example/shop",
            "r.example/shop/api",
            "r.example/shop/api-v2",
            "r.example/shop/api.old/worker",
            "r.example/shop/api/worker",
            "r.example/shop/api/worker/deep",
            "r.example/shop/api0",
            "r.example/shop/zoo",
            "other.example/shop/api",
            "z.example/shop/api",
        ];
        let key = |name, asker| ScanKey { image: image(name), asker };
        let (mut scans, policy) = (Agenda::default(), ObjectKey::new("shop", "api"));
        names.iter().for_each(|name| scans.join(&key(name, None), &policy));
        scans.join(&key("r.example/shop/api", Some(asker)), &policy);
        let pushed = Pushed { image: image(name), and_below, tag: None };
        let expected: Vec<String> = scans
            .keys()
            .filter(|key| pushed.is_of(&key.image))
            .map(|key| format!("{} {}", key.image, key.asker.is_some()))
            .collect();
        let told = told_of(&scans, &pushed);
        let told: Vec<String> = told.map(|key| format!("{} {}", key.image, key.asker.is_some())).collect();
        assert_eq!(told, expected, "{name} {and_below}");
        told
    }

    #[test]
    fn a_delivery_is_heard_by_every_scan_of_its_image_and_by_no_other() {
        assert_eq!(
            told("r.example/shop/api", false),
            ["r.example/shop/api false", "r.example/shop/api true"]
        );
        assert_eq!(told("r.example/shop/ap", false), [""; 0]);
        assert_eq!(told("r.example/none", false), [""; 0]);
    }

    #[test]
    fn a_delivery_for_a_project_is_heard_by_what_is_below_it_past_its_neighbours() {
        let below = [
            "r.example/shop/api false",
            "r.example/shop/api true",
            "r.example/shop/api/worker false",
            "r.example/shop/api/worker/deep false",
        ];
        assert_eq!(told("r.example/shop/api", true), below);
        assert_eq!(told("r.example/shop", true).len(), 9);
        assert_eq!(told("r.example/sho", true), [""; 0]);
    }
}
