//! What a process has spent and holds, as `/proc` tells it (proc(5)); 0 where it cannot be read.

/// CPU time that a process has spent so far, in microseconds.
pub(super) fn cpu_us(process: u32) -> u64 {
    cpu_in(&read(process, "stat")).unwrap_or(0)
}

/// Bytes that a process has made the system write to disk so far.
pub(super) fn written_bytes(process: u32) -> u64 {
    named(&read(process, "io"), "write_bytes").unwrap_or(0)
}

/// Bytes of memory that a process holds, and the most that it has held.
pub(super) fn memory_bytes(process: u32) -> [u64; 2] {
    let status = read(process, "status");
    ["VmRSS", "VmHWM"].map(|name| named(&status, name).unwrap_or(0) * 1024)
}

fn read(process: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default()
}

/// The sum of `utime` and `stime`, the 14th and 15th field of `stat`; the name in brackets before may hold anything. Unit: 10 ms.
fn cpu_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) * 10_000)
}

/// The number of a line `NAME: NUMBER`, with or without a unit behind it.
fn named(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_the_texts_of_the_kernel() {
        let stat = "12 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!((cpu_in(stat), cpu_in("12 (a")), (Some(2_000_000), None));
        let text = "wchar: 9\nwrite_bytes: 4096\nVmHWM:\t  128 kB\n";
        assert_eq!((named(text, "write_bytes"), named(text, "VmHWM"), named(text, "VmRSS")), (Some(4096), Some(128), None));
        let [resident, most] = memory_bytes(std::process::id());
        assert!(resident > 100_000 && most >= resident, "{resident} {most}");
    }
}
