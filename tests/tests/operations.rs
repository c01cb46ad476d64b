//! What operators rely on, through the real binary: reloads, the command line, the admin listener,
//! the access log, and bounds that hold however long it runs.

#[cfg(test)]
mod operations {
    mod access_log;
    mod admin;
    mod bounds;
    mod check;
    mod cli;
    mod configuration_page;
    mod exposition;
    mod hostile_labels;
    mod hostile_log;
    mod metrics_page;
    mod pins;
    mod pins_admin;
    mod prometheus;
    mod ready;
    mod reload;
    mod reload_effects;
    mod reload_state;
    mod reload_under_load;
    mod repository;
    mod stage;
}
