//! Tests that run on so many hubs, each in a process of its own.

/// Defines a test for each of these functions, in a module, on so many hubs.
macro_rules! on_hubs {
    ($module:ident, $hubs:literal, [$($test:ident),* $(,)?]) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    green_core::Config::new()
                        .hubs($hubs)
                        .apply()
                        .expect("each test has a process of its own");
                    green_core::run(super::$test);
                }
            )*
        }
    };
}
