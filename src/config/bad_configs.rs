//! Every bad config of `tests/vectors/bad-configs` is refused at the place and with the remedy that it names itself, and what is to be
//! tried can be pasted.
//!
//! Its last lines say what is wanted, one for each fault and no more: `# wants: LINE:COLUMN | message | remedy`, each a part of
//! what is printed.

use std::fs;
use std::path::Path;

use super::fault::{Fault, Remedy};
use super::fixture::{Folder, can_be_pasted};

#[test]
fn every_bad_config_names_its_places_and_remedies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/bad-configs");
    let mut complaints = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("there") {
        let path = entry.expect("readable").path();
        count += 1;
        if let Err(complaint) = judge(&fs::read_to_string(&path).expect("text")) {
            complaints.push(format!("{}: {complaint}", path.display()));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert!(count >= 40, "only {count} bad configs were found");
}

fn judge(text: &str) -> Result<(), String> {
    let wanted: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# wants: ")).collect();
    let folder = Folder::new(text);
    let faults = folder.load().err().unwrap_or_default();
    if let Some(fault) = faults.iter().find(|fault| !can_be_pasted(&fault.remedy)) {
        return Err(format!("cannot be pasted: {}", folder.relative(&fault.to_string())));
    }
    let missing = wanted.iter().find(|wanted| !faults.iter().any(|fault| fits(wanted, fault, &folder)));
    match missing {
        Some(missing) => Err(format!("wanted {missing}\n{}", folder.relative(&faults.to_string()))),
        None if faults.len() != wanted.len() => {
            Err(format!("wanted {} faults\n{}", wanted.len(), folder.relative(&faults.to_string())))
        }
        None => Ok(()),
    }
}

fn fits(wanted: &str, fault: &Fault, folder: &Folder) -> bool {
    let parts: Vec<&str> = wanted.splitn(3, " | ").collect();
    let [location, message, remedy] = parts[..] else { return false };
    let at = folder.relative(&fault.location.to_string());
    let here = at.strip_prefix("hookwheel.toml:").unwrap_or_default();
    let placed = here == location || (location.ends_with(':') && here.starts_with(location));
    placed && folder.relative(&fault.message).contains(message) && folder.relative(&said(&fault.remedy)).contains(remedy)
}

fn said(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Advice(words) => words.clone(),
        other => other.line().unwrap_or_default(),
    }
}
