-- name: advance_mark!
-- What is projected is gone from the journal. A mark would pass rows by: keys of several writers do not come in order.
update projection
set events = events + :events, dropped = dropped + :dropped, refused = refused + :refused
where name = 'journal'
