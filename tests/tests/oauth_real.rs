//! Logging in and connecting with products that others made: oidc-provider and Glewlwyd as identity providers and
//! as upstreams' authorization servers, a real Chromium, the SDKs' clients, the conformance suite.

#[cfg(test)]
mod oauth_real {
    mod browser;
    mod clients;
    mod conformance;
    mod connections;
    mod documents;
    mod human;
    mod programs;
    mod providers;
    mod stage;
}
