{# Every value that is there lies within the bounds, both inclusive. #}
{% test between(model, column_name, minimum, maximum=none) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} < {{ minimum }}
{% if maximum is not none %} or {{ column_name }} > {{ maximum }} {% endif %}
{% endtest %}
