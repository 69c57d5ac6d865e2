//! What programs send that are not at hand, after public reports (`docs/rtmp-interop.md` has the sources), each
//! as a script in `tests/recordings/`.

use crate::script::replay;

macro_rules! dialects {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(include_str!(concat!("../recordings/", stringify!($name), ".txt")));
            }
        )*

        #[test]
        fn every_script_is_replayed_and_every_source_named() {
            let known = [$(stringify!($name)),*];
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            let table = std::fs::read_to_string(root.join("../../docs/rtmp-interop.md")).unwrap();
            for entry in root.join("tests/recordings").read_dir().unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(known.contains(&name), "{name} is not replayed");
                assert!(table.contains(&format!("`{name}`")), "{name} has no row in docs/rtmp-interop.md");
            }
        }
    };
}

dialects! {
    camera_metadata
    camera_without_headers
    chunk_size_late
    dji
    enhanced
    flash_publisher
    fmle
    leaves_at_once
    long_stream
    long_stream_repeats
    nginx_relay
    refused_after_fcpublish
    stream_id_0
    subscribes_first
    two_streams
    waits_for_onfcpublish
}
