"""The rules of the ledger, where no program can go round them.

An entry is inserted with a kind and an amount; everything else about it is computed here, under the lock of its
account's row.

1. BEFORE INSERT locks the account, numbers the entry and computes its deltas and the balance after it.
2. The entry is stored. Its unique indexes may refuse it here (same key, same hold settled twice): with ON CONFLICT DO
   NOTHING that is no error, and because the account has not been touched yet, nothing has moved.
3. AFTER INSERT moves the account to that balance. The account's own trigger lets a balance change only if it is what
   the entry with the next number says, so neither an UPDATE from elsewhere nor an entry without its movement is
   possible.

Several entries of one account in one INSERT are refused by the unique number: step 2 of the second comes before step 3
of the first.

The functions run with the rights of their owner, so that the role of the application needs none to change a balance.
"""

from django.db import migrations

TABLE_CHECKS = """
ALTER TABLE credits_entry
    ADD CONSTRAINT credits_entry_kind CHECK (kind IN ('topup', 'grant', 'adjust', 'hold', 'settle')),

    -- Only a correction may take credits away. A settlement may cost nothing, and is written all the same.
    ADD CONSTRAINT credits_entry_amount CHECK (
        CASE kind WHEN 'adjust' THEN amount <> 0 WHEN 'settle' THEN amount >= 0 ELSE amount > 0 END
    ),

    ADD CONSTRAINT credits_entry_deltas CHECK (
        CASE kind
            WHEN 'hold' THEN available_delta = -amount AND reserved_delta = amount AND spent_delta = 0
            WHEN 'settle' THEN available_delta >= 0 AND reserved_delta = -(available_delta + amount)
                AND spent_delta = amount
            ELSE available_delta = amount AND reserved_delta = 0 AND spent_delta = 0
        END
    ),

    ADD CONSTRAINT credits_entry_hold CHECK ((kind = 'settle') = (hold_id IS NOT NULL)),

    -- What is paid for, and at which price.
    ADD CONSTRAINT credits_entry_paid_for CHECK (
        CASE WHEN kind IN ('hold', 'settle') THEN reference IS NOT NULL AND price_id IS NOT NULL
             ELSE reference IS NULL AND price_id IS NULL END
    ),

    -- Credits that a person gives or takes name that person, the reason and a key that makes the act repeatable.
    ADD CONSTRAINT credits_entry_accountable CHECK (
        CASE WHEN kind IN ('topup', 'adjust') THEN actor_id IS NOT NULL AND btrim(reason) <> '' AND key IS NOT NULL
             WHEN kind = 'grant' THEN key IS NOT NULL ELSE true END
    ),

    ADD CONSTRAINT credits_entry_tokens CHECK (input_tokens >= 0 AND output_tokens >= 0);
"""

ENTRY_TRIGGERS = """
CREATE FUNCTION credits_entry_compute() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    the_account credits_account%ROWTYPE;
    the_hold credits_entry%ROWTYPE;
BEGIN
    -- From here to the end of the transaction nobody else writes this account's next entry.
    SELECT * INTO the_account FROM credits_account WHERE id = NEW.account_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = 'there is no such account', CONSTRAINT = 'credits_entry_account';
    END IF;

    IF NEW.kind = 'settle' THEN
        SELECT * INTO the_hold FROM credits_entry
        WHERE id = NEW.hold_id AND account_id = NEW.account_id AND kind = 'hold';
        IF NOT FOUND THEN
            RAISE foreign_key_violation
                USING MESSAGE = 'the account has no such hold', CONSTRAINT = 'credits_entry_hold';
        END IF;
        IF NEW.amount NOT BETWEEN 0 AND the_hold.amount THEN
            RAISE check_violation USING MESSAGE = 'a settlement charges between nothing and its hold',
                CONSTRAINT = 'credits_entry_charge';
        END IF;
        NEW.reference := the_hold.reference;
        NEW.price_id := the_hold.price_id;
    END IF;

    NEW.available_delta := CASE NEW.kind
        WHEN 'hold' THEN -NEW.amount WHEN 'settle' THEN the_hold.amount - NEW.amount ELSE NEW.amount END;
    NEW.reserved_delta := CASE NEW.kind
        WHEN 'hold' THEN NEW.amount WHEN 'settle' THEN -the_hold.amount ELSE 0 END;
    NEW.spent_delta := CASE NEW.kind WHEN 'settle' THEN NEW.amount ELSE 0 END;
    NEW.seq := the_account.seq + 1;
    NEW.available_after := the_account.available + NEW.available_delta;
    NEW.reserved_after := the_account.reserved + NEW.reserved_delta;
    NEW.created_at := clock_timestamp();  -- read under the lock, so it runs with seq; nobody dates an entry back
    RETURN NEW;
END $$;

CREATE FUNCTION credits_entry_move() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- The account's own CHECK would refuse it too; this one says what is available. Here and not in BEFORE INSERT,
    -- because a repeated request must find its first entry and not be told that the credits, spent by that very entry,
    -- are gone.
    IF NEW.available_after < 0 THEN
        RAISE check_violation USING MESSAGE = 'not enough credits', CONSTRAINT = 'credits_account_available',
            DETAIL = NEW.available_after - NEW.available_delta;
    END IF;
    UPDATE credits_account
    SET available = NEW.available_after, reserved = NEW.reserved_after,
        spent = spent + NEW.spent_delta, seq = NEW.seq
    WHERE id = NEW.account_id;
    RETURN NULL;
END $$;

CREATE FUNCTION credits_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE restrict_violation
        USING MESSAGE = format('%s on %s: the ledger is append-only; write another entry', TG_OP, TG_TABLE_NAME);
END $$;

CREATE TRIGGER credits_entry_compute BEFORE INSERT ON credits_entry
    FOR EACH ROW EXECUTE FUNCTION credits_entry_compute();
CREATE TRIGGER credits_entry_move AFTER INSERT ON credits_entry
    FOR EACH ROW EXECUTE FUNCTION credits_entry_move();
CREATE TRIGGER credits_entry_fixed BEFORE UPDATE OR DELETE ON credits_entry
    FOR EACH ROW EXECUTE FUNCTION credits_refuse();
CREATE TRIGGER credits_entry_not_emptied BEFORE TRUNCATE ON credits_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse();
"""

ACCOUNT_TRIGGERS = """
CREATE FUNCTION credits_account_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF (NEW.available, NEW.reserved, NEW.spent, NEW.seq) IS DISTINCT FROM (0, 0, 0, 0) THEN
            RAISE restrict_violation USING MESSAGE = 'an account starts empty; credit it with an entry';
        END IF;
        RETURN NEW;
    END IF;

    IF (NEW.id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.created_at)
        OR (NEW.user_id IS NOT NULL AND NEW.user_id IS DISTINCT FROM OLD.user_id) THEN
        RAISE restrict_violation USING MESSAGE = 'an account may lose its user and change nothing else of itself';
    END IF;
    IF (NEW.available, NEW.reserved, NEW.spent, NEW.seq)
        IS NOT DISTINCT FROM (OLD.available, OLD.reserved, OLD.spent, OLD.seq) THEN
        RETURN NEW;
    END IF;

    PERFORM FROM credits_entry AS entry
    WHERE entry.account_id = NEW.id AND entry.seq = NEW.seq AND NEW.seq = OLD.seq + 1
        AND NEW.available = OLD.available + entry.available_delta
        AND NEW.reserved = OLD.reserved + entry.reserved_delta
        AND NEW.spent = OLD.spent + entry.spent_delta;
    IF NOT FOUND THEN
        RAISE restrict_violation USING MESSAGE = 'a balance is what the entries add up to; write an entry';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER credits_account_guard BEFORE INSERT OR UPDATE ON credits_account
    FOR EACH ROW EXECUTE FUNCTION credits_account_guard();
CREATE TRIGGER credits_account_stays BEFORE DELETE ON credits_account
    FOR EACH ROW EXECUTE FUNCTION credits_refuse();
CREATE TRIGGER credits_account_not_emptied BEFORE TRUNCATE ON credits_account
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse();
"""

PRICE_TRIGGERS = """
CREATE FUNCTION credits_price_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- One writer per model at a time: of two that overlap, the second to come sees the first.
    PERFORM pg_advisory_xact_lock(hashtextextended('credits_price ' || NEW.model, 0));

    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.model, NEW.per_answer, NEW.input_per_1k, NEW.output_per_1k, NEW.valid_from)
            IS DISTINCT FROM (OLD.id, OLD.model, OLD.per_answer, OLD.input_per_1k, OLD.output_per_1k,
                OLD.valid_from) THEN
            RAISE restrict_violation USING MESSAGE = 'a price is never edited; end it and add another';
        END IF;
        -- Neither a price that has ended nor the past of one that has not can change: answers were charged by it.
        IF OLD.valid_to <= statement_timestamp() OR NEW.valid_to < now() THEN
            RAISE restrict_violation USING MESSAGE = 'the validity of a price can only be changed in the future';
        END IF;
    END IF;

    PERFORM FROM credits_price AS other
    WHERE other.model = NEW.model AND other.id <> NEW.id
        AND tstzrange(other.valid_from, other.valid_to) && tstzrange(NEW.valid_from, NEW.valid_to);
    IF FOUND THEN
        RAISE exclusion_violation
            USING MESSAGE = 'a model has one price at a time', CONSTRAINT = 'credits_price_overlap';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER credits_price_guard BEFORE INSERT OR UPDATE ON credits_price
    FOR EACH ROW EXECUTE FUNCTION credits_price_guard();
"""

REVERSE = """
DROP TRIGGER credits_price_guard ON credits_price;
DROP TRIGGER credits_account_not_emptied ON credits_account;
DROP TRIGGER credits_account_stays ON credits_account;
DROP TRIGGER credits_account_guard ON credits_account;
DROP TRIGGER credits_entry_not_emptied ON credits_entry;
DROP TRIGGER credits_entry_fixed ON credits_entry;
DROP TRIGGER credits_entry_move ON credits_entry;
DROP TRIGGER credits_entry_compute ON credits_entry;
DROP FUNCTION credits_price_guard(), credits_account_guard(), credits_refuse(), credits_entry_move(),
    credits_entry_compute();
ALTER TABLE credits_entry
    DROP CONSTRAINT credits_entry_kind, DROP CONSTRAINT credits_entry_amount, DROP CONSTRAINT credits_entry_deltas,
    DROP CONSTRAINT credits_entry_hold, DROP CONSTRAINT credits_entry_paid_for,
    DROP CONSTRAINT credits_entry_accountable,
    DROP CONSTRAINT credits_entry_tokens;
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0001_tables")]

    operations = [migrations.RunSQL(TABLE_CHECKS + ENTRY_TRIGGERS + ACCOUNT_TRIGGERS + PRICE_TRIGGERS, REVERSE)]
