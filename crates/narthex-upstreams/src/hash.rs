//! Hashes that choose endpoints.

use siphasher::sip::SipHasher13;

/// A hash that is the same in every process, on every machine and in every release, so that all replicas
/// agree on whose endpoint is whose: the standard library promises that of none of its own, and a key made
/// at the start would differ. That a caller can work out where it is sent gains it nothing: it is one key.
pub(crate) fn stable(bytes: &[u8]) -> u64 {
    // 1-3: nothing secret is kept here, and it is cheap for what a caller's name is long.
    SipHasher13::new_with_keys(0x6e61_7274_6865_7821, 0x656e_6470_6f69_6e74).hash(bytes)
}

/// Scatters `x` so that each bit depends on all of it (the finaliser of SplitMix64).
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_of_other_releases_hash_alike() {
        // Changing these moves every caller of every gateway.
        assert_eq!(stable(b""), 0xedef_bd7f_1786_d9ee);
        assert_eq!(stable(b"acme alice"), 0x9342_3261_1a11_1ea9);
        // The first output of SplitMix64 with seed 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }
}
