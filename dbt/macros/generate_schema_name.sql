{# A model's schema is the one that its folder names, the same in every deployment: asset keys are made of it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
