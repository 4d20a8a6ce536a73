//! What the fuzzer in `fuzz/` runs: for each parser of foreign bytes a function that takes any bytes and asserts what must
//! hold of them. It stands beside the parser, in a `fuzzing.rs`; `fuzz/seeds/<name>/` has what it starts from.

use crate::{edit, git, policy, registry};

/// One parser, or some that read the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder of seeds.
    pub name: &'static str,
    /// Panics where what must hold does not.
    pub run: fn(&[u8]),
}

/// Every target, in the order of the flow.
#[must_use]
pub fn targets() -> Vec<Target> {
    let targets = [
        registry::fuzzing::TARGETS,
        policy::fuzzing::TARGETS,
        edit::fuzzing::TARGETS,
        &git::fuzzing::targets(),
    ];
    targets.concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_target_has_seeds_and_holds_for_them() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let folders = fs::read_dir(&seeds).unwrap();
        let folders: BTreeSet<String> =
            folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let names: BTreeSet<String> = targets().iter().map(|target| target.name.to_owned()).collect();
        assert_eq!(names, folders, "one folder of seeds for each target");
        assert_eq!(names.len(), targets().len(), "each name once");
        for target in targets() {
            let mut seen = 0;
            for seed in fs::read_dir(seeds.join(target.name)).unwrap() {
                let path = seed.unwrap().path();
                println!("{}", path.display());
                (target.run)(&fs::read(path).unwrap());
                seen += 1;
            }
            assert!(seen > 0, "{} has no seed", target.name);
            (target.run)(b"");
        }
    }
}
