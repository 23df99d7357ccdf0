//! The program's own code, as the system maps it.

use std::{fs, io};

/// Gives the system back the pages of the program's code; those that run again come again by themselves, from what the system
/// keeps of the file. To be called when a start is over: most of its code never runs again, and was as much resident memory as
/// six thousand idle connections.
///
/// # Errors
/// What `/proc/self/maps` or the system call says; nothing has changed then.
pub fn release_code() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let here = release_code as *const () as usize;
    let Some((start, length)) = maps.lines().filter_map(code).find(|code| holds(*code, here)) else {
        return Ok(());
    };
    // SAFETY: the range is one mapping of a file, private, executable and not writable, which nobody unmaps, as this function
    // is in it. Its pages are as the file has them, so to drop them changes nothing that can be read; the file of a program
    // that runs cannot be written to (ETXTBSY).
    let answer = unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Where the code of a file is mapped, and how long it is (bytes), by a line of `/proc/self/maps`; none if the line is of
/// something else, or of what could have been written to.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    // Then come the permissions, the offset, the device and the file's number.
    let is_code = words.next()? == "r-xp" && words.nth(2)? != "0";
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.checked_sub(start)?)).filter(|_| is_code)
}

fn holds((start, length): (usize, usize), address: usize) -> bool {
    address.checked_sub(start).is_some_and(|at| at < length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_code() {
        let line = "7f1c2a000000-7f1c2a800000 r-xp 00200000 fe:00 1234                 /usr/bin/usher";
        assert_eq!(code(line), Some((0x7f1c_2a00_0000, 0x80_0000)));
        for other in [
            &line.replace("r-xp", "r--p"),
            &line.replace("r-xp", "rwxp"),
            &line.replace("r-xp", "r-xs"),
            "7ffd1c5f2000-7ffd1c5f4000 r-xp 00000000 00:00 0   [vdso]",
            "7ffd-",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
        assert!(holds((16, 16), 16) && holds((16, 16), 31) && !holds((16, 16), 32) && !holds((16, 16), 15));
    }

    /// How much of this process's code is resident (KiB).
    fn resident() -> u64 {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let here = release_code as *const () as usize;
        let mut lines = maps.lines().skip_while(|line| !code(line).is_some_and(|code| holds(code, here)));
        let line = lines.find_map(|line| line.strip_prefix("Rss:")).expect("the mapping of this code");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn code_is_released_and_runs_again() {
        let before = resident();
        release_code().unwrap();
        let after = resident();
        assert!(after < before, "{before} KiB, {after} KiB later");
    }
}
