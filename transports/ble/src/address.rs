//! What BlueZ and the radio call things: addresses of devices, UUIDs.

use hundi_transports::ble::contacts::Address;

/// BlueZ's six bytes, padded. Whether an address is public or random is asked of BlueZ when it
/// matters.
pub(crate) fn to_radio(address: bluer::Address) -> Address {
    let mut padded = [0; 16];
    padded[..6].copy_from_slice(&address.0);
    Address(padded)
}

/// BlueZ's address of a device that the radio names.
pub(crate) fn to_bluez(address: Address) -> bluer::Address {
    let [a, b, c, d, e, f, ..] = address.0;
    bluer::Address([a, b, c, d, e, f])
}

/// A UUID as it is written.
pub(crate) fn uuid(bytes: [u8; 16]) -> bluer::Uuid {
    bluer::Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_address_comes_back(bytes in any::<[u8; 6]>(), other in any::<[u8; 6]>()) {
            let address = to_radio(bluer::Address(bytes));
            prop_assert_eq!(to_bluez(address), bluer::Address(bytes));
            prop_assert_eq!(address == to_radio(bluer::Address(other)), bytes == other);
        }
    }

    #[test]
    fn uuids_are_written_as_in_the_document() {
        let service = uuid(hundi_transports::ble::advertisement::SERVICE);
        assert_eq!(service.to_string(), "8f1d51a0-5c3a-4b7e-9d62-68756e646900");
    }
}
