//! Facts about the file that is shipped.

use std::fs;

/// ELF program header types, <https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html>.
const PT_INTERP: u32 = 3;

#[test]
fn the_binary_needs_no_interpreter() {
    let elf = fs::read(env!("CARGO_BIN_EXE_droppod")).unwrap();
    assert_eq!(&elf[..5], b"\x7fELF\x02", "not a 64-bit ELF file");
    let u16_at = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let table = usize::try_from(u64::from_le_bytes(elf[32..40].try_into().unwrap())).unwrap();
    let (size, count) = (u16_at(54), u16_at(56));
    assert!(count > 0);
    for index in 0..count {
        let at = table + index * size;
        let kind = u32::from_le_bytes(elf[at..at + 4].try_into().unwrap());
        assert_ne!(kind, PT_INTERP, "it asks for a dynamic loader");
    }
}
