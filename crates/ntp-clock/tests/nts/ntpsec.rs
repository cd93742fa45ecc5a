//! What holds against chrony, against ntpsec.

use crate::peer::run_against_ntpsec;

#[test]
fn what_holds_against_chrony_holds_against_ntpsec() {
    run_against_ntpsec(&[
        "packets::by_one_exchange_ten_thousand_requests_have_replies_that_are_authentic",
        "packets::no_reply_is_believed_with_any_bit_changed_or_any_byte_missing",
        "packets::cookies_that_were_lost_on_the_way_come_back_with_the_next_reply",
        "packets::a_server_that_lost_its_own_key_answers_with_a_nak_if_at_all_and_gives_new_keys",
        "clocks::a_clock_with_keys_is_right_and_stays_so_when_its_server_forgets_them",
        "clocks::a_clock_whose_server_is_not_there_yet_has_time_soon_after_it_is",
        "paths::the_first_reading_is_there_after_the_exchange_and_one_reply",
        "paths::later_rounds_cost_the_packets_of_plain_ntp_and_no_exchange",
        "attacks::of_replies_that_are_all_changed_on_the_way_none_is_believed",
        "attacks::forgeries_before_and_behind_each_real_reply_change_nothing",
        "attacks::replies_that_are_replayed_or_swapped_between_two_clocks_are_not_believed",
    ]);
}
