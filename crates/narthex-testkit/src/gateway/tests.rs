use super::*;
use std::process::{Command, Stdio};

#[test]
fn a_sample_is_found_by_all_of_its_name_and_labels() {
    let text = "# HELP a_total x\na_total{reason=\"scope\"} 3\na_total{reason=\"scopes\"} 4\na 1.5\nab 2\n";
    for (sample, expected) in
        [("a_total{reason=\"scope\"}", Some(3.0)), ("a", Some(1.5)), ("a_total", None), ("b", None)]
    {
        assert_eq!(metric(text, sample), expected, "{sample}");
    }
}

#[test]
fn a_place_has_two_ports_and_a_configuration_that_is_replaced_in_one_step() {
    let place = Place::new();
    assert_ne!(place.port, place.admin_port);
    place.write_config("a");
    place.write_config("b");
    assert_eq!(fs::read_to_string(place.config()).unwrap(), "b");
    assert_eq!(fs::read_dir(place.dir()).unwrap().count(), 1);
    let yaml = place.server_yaml("  threads: 1\n");
    assert!(
        yaml.contains(&format!("public_url: http://localhost:{}\n", place.port))
            && yaml.contains("  threads: 1\n")
    );
}

#[test]
fn all_output_of_a_process_is_captured_on_both_streams() {
    let mut child = Command::new("sh")
        .args(["-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; done"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = Output::capture(&mut child);
    child.wait().unwrap();
    output.finish();
    assert_eq!(output.stdout(), "out1\nout2\nout3\n");
    assert_eq!(output.stderr(), "err1\nerr2\nerr3\n");
}

#[tokio::test]
async fn a_gateway_that_is_dropped_is_killed_and_one_that_ended_is_told() {
    let spawn = |script: &str| {
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let output = Output::capture(&mut child);
        GatewayProcess { child, place: Place::new(), output }
    };
    let gateway = spawn("exec cat /dev/zero > /dev/null");
    let id = pid(&gateway.child);
    assert!(kill(id, None).is_ok());
    drop(gateway);
    assert!(kill(id, None).is_err());

    let mut gateway = spawn("exec cat /dev/zero > /dev/null");
    assert_eq!(gateway.wait_for_exit(Duration::from_millis(1)).await, None);
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.wait_for_exit(PATIENCE).await.is_some_and(|status| !status.success()));
    assert!(
        spawn("echo ready; exec cat /dev/zero > /dev/null").resident_bytes().is_some_and(|bytes| bytes > 0)
    );
}
