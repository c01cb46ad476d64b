//! Clients at servers that speak no era of theirs: the gateway bridges.

use super::matrix::{Known, visit_all};

/// Every cell between eras works.
const KNOWN: &[Known] = &[];

#[tokio::test]
async fn every_client_works_with_every_server_of_an_era_that_it_does_not_speak() {
    let cells = visit_all(KNOWN, |visitor, host| !visitor.shares(host.eras)).await;
    assert_eq!(cells, 13);
}
