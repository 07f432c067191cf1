//! How often each processor was too hot: by it a container learns what others do, and when (a side channel that
//! container engines close). Which processors have it is the machine's affair, so it is looked for.

use std::io;
use std::path::Path;

pub(crate) const PROCESSORS: &str = "/sys/devices/system/cpu";

/// `cpu<N>/thermal_throttle` of every processor that has it, sorted.
pub(crate) fn throttles(processors: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(processors) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let number =
            entry.file_name().to_str().and_then(|name| name.strip_prefix("cpu")?.parse::<u32>().ok());
        let throttle = entry.path().join("thermal_throttle");
        if number.is_some() && throttle.exists() {
            found.extend(throttle.to_str().map(str::to_owned));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_that_tell_of_their_heat_are_found_and_nothing_else() {
        let place = std::env::temp_dir().join(format!("droppod-heat-{}", std::process::id()));
        for name in ["cpu0/thermal_throttle", "cpu1", "cpu11/thermal_throttle", "cpufreq/thermal_throttle"] {
            std::fs::create_dir_all(place.join(name)).unwrap();
        }
        let expected = ["cpu0", "cpu11"].map(|cpu| place.join(cpu).join("thermal_throttle"));
        let found = throttles(&place).unwrap();
        assert_eq!(found.iter().map(Path::new).collect::<Vec<_>>(), expected);
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(throttles(&place).unwrap(), Vec::<String>::new());
    }
}
