//! The resource limits of another process (proc_pid_limits(5)), which what it asks for keeps.

use mounter::jail::{Limit, Resource};

/// What the kernel calls each.
const NAMES: [(&str, Resource); 7] = [
    ("Max address space", Resource::AddressSpace),
    ("Max core file size", Resource::Core),
    ("Max cpu time", Resource::Cpu),
    ("Max file size", Resource::FileSize),
    ("Max open files", Resource::OpenFiles),
    ("Max processes", Resource::Processes),
    ("Max stack size", Resource::Stack),
];

/// The limits in a table of the kernel's; none if one is missing.
pub(super) fn parse(table: &str) -> Option<Vec<Limit>> {
    NAMES.iter().map(|(name, resource)| find(table, name, *resource)).collect()
}

/// Those that are asked for in place of some, none of which may be raised by it; or the first that would be.
pub(super) fn lowered(limits: &[Limit], asked: &[Limit]) -> Result<Vec<Limit>, Resource> {
    let mut lowered = limits.to_vec();
    for asked in asked {
        let Some(known) = lowered.iter_mut().find(|known| known.resource == asked.resource) else {
            return Err(asked.resource);
        };
        let hard = least(asked.hard, known.hard);
        if asked.soft.is_none_or(|soft| hard.is_some_and(|hard| soft > hard)) && hard.is_some() {
            return Err(asked.resource);
        }
        *known = Limit { resource: known.resource, soft: asked.soft, hard };
    }
    Ok(lowered)
}

/// The lower of two limits: who asks for none keeps what he has.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn find(table: &str, name: &str, resource: Resource) -> Option<Limit> {
    let rest = table.lines().find_map(|line| line.strip_prefix(name))?;
    let mut bounds = rest.split_whitespace().map(|bound| match bound {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    });
    Some(Limit { resource, soft: bounds.next()??, hard: bounds.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             unlimited            unlimited            bytes     
Max data size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    100                  bytes     
Max processes             95000                95000                processes 
Max open files            1024                 4096                 files     
Max address space         unlimited            unlimited            bytes     
";

    fn limit(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Limit {
        Limit { resource, soft, hard }
    }

    #[test]
    fn a_table_of_the_kernels_is_read() {
        let limits = parse(TABLE).unwrap();
        assert!(limits.contains(&limit(Resource::OpenFiles, Some(1024), Some(4096))));
        assert!(limits.contains(&limit(Resource::Stack, Some(8_388_608), None)));
        assert_eq!(parse("Max open files 1 2 files"), None);
        assert_eq!(parse(&TABLE.replace("4096", "many")), None);
    }

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let limits = parse(TABLE).unwrap();
        let lowered = |soft, hard| lowered(&limits, &[limit(Resource::OpenFiles, soft, hard)]);
        assert!(lowered(Some(10), Some(20)).unwrap().contains(&limit(
            Resource::OpenFiles,
            Some(10),
            Some(20)
        )));
        // Who leaves the hard limit as it is, keeps it.
        assert!(lowered(Some(10), None).unwrap().contains(&limit(Resource::OpenFiles, Some(10), Some(4096))));
        assert_eq!(lowered(Some(5000), None), Err(Resource::OpenFiles));
        assert_eq!(lowered(None, None), Err(Resource::OpenFiles));
    }
}
