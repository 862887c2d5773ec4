"""A settlement names the price it was charged by: of the model that answered, which may be another than was asked first.

Where it names none it is the hold's, as before; every other rule of an entry stays as migration 0002 has it.
"""

from django.db import migrations

_COMPUTE = """
CREATE OR REPLACE FUNCTION credits_entry_compute() RETURNS trigger
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
        NEW.price_id := __PRICE__;
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
"""

_FORWARD = _COMPUTE.replace("__PRICE__", "coalesce(NEW.price_id, the_hold.price_id)")
_REVERSE = _COMPUTE.replace("__PRICE__", "the_hold.price_id")


class Migration(migrations.Migration):
    dependencies = [("credits", "0005_low_balance")]

    operations = [migrations.RunSQL(_FORWARD, _REVERSE)]
