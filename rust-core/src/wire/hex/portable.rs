//! Eight digits at a time in one integer, for every machine.

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = ONES * 0x0f;
const HIGH: u64 = ONES * 0xf0;

/// Reads 16 lower-case digits, and nothing else.
pub(super) fn decode(digits: &[u8; 16]) -> Option<[u8; 8]> {
    let mut bytes = [0; 8];
    let mut wrong = 0;
    for (four, eight) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(digits.as_chunks::<8>().0) {
        let text = u64::from_le_bytes(*eight);
        // Letters have the bit 0x40, and their low half counts from one.
        let values = (text & LOW) + ((text >> 6) & ONES) * 9;
        wrong |= (to_text(values) ^ text) | values & HIGH;
        let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
        *four = ((fours | fours >> 16) as u32).to_le_bytes();
    }
    (wrong == 0).then_some(bytes)
}

/// Writes 16 lower-case digits.
pub(super) fn encode(bytes: &[u8; 8]) -> [u8; 16] {
    let mut digits = [0; 16];
    for (eight, four) in digits.as_chunks_mut::<8>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let fours = u64::from(u32::from_le_bytes(*four));
        let fours = (fours | fours << 16) & 0x0000_ffff_0000_ffff;
        let pairs = (fours | fours << 8) & 0x00ff_00ff_00ff_00ff;
        *eight = to_text((pairs >> 4 | pairs << 8) & LOW).to_le_bytes();
    }
    digits
}

/// Returns the text of eight values, each below 25 and right where it is below 16.
fn to_text(values: u64) -> u64 {
    let is_letter = ((values + ONES * 6) >> 4) & ONES;
    values + ONES * u64::from(b'0') + is_letter * u64::from(b'a' - b'0' - 10)
}
